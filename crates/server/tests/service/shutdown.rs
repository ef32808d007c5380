//! The end of the service.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_server::net::ListenAddress;

use crate::connections::{check_of_http2, frame};
use crate::support::{Running, THREE_A_DAY};

#[tokio::test]
async fn what_is_in_flight_is_answered() {
    let service = Running::with(THREE_A_DAY, "").await;
    let ListenAddress::Tcp(address) = service.server.listen().clone() else { panic!("a port") };
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let body = r#"{"method":"GET","path":"/","user":"alice"}"#;
    let head = format!(
        "POST /v1/check HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.expect("the service wants the body");
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");

    let stopping = tokio::spawn(service.server.stop());
    // Nobody is accepted any more.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).await.expect("the connection is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the service answers, and closes");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(r#""allowed":true"#), "{answer}");
    stopping.await.expect("the service ends");
}

/// A connection on which the service waits for the body of a check.
async fn waits_for_a_body(service: &Running) -> TcpStream {
    let ListenAddress::Tcp(address) = service.server.listen().clone() else { panic!("a port") };
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let head = "POST /v1/check HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    stream.read_u8().await.expect("the service wants the body");
    stream
}

#[tokio::test]
async fn an_answer_that_never_comes_to_be_is_not_waited_for() {
    let time = "[server.connections]\ndrain_time = '100ms'\n";
    let service = Running::with(THREE_A_DAY, time).await;
    let _stream = waits_for_a_body(&service).await;
    service.server.stop().await;
}

/// A program that embeds the service drops it, without waiting for its end.
#[tokio::test]
async fn nothing_outlives_a_server_that_is_dropped() {
    let long = "[server.connections]\nbody_time = '1h'\nidle_time = '1h'\n";
    let service = Running::with(THREE_A_DAY, long).await;
    let ListenAddress::Tcp(address) = service.server.listen().clone() else { panic!("a port") };
    // An idle connection; two in the middle of a request, of which one is a task of its own in
    // HTTP/2; and a page of the dashboard, which is told what changes.
    let waits_for_its_body = "POST /v1/check HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                              content-length: 9\r\n\r\n";
    let mut http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    http2.extend(frame(4, 0, 0, &[]));
    http2.extend(frame(1, 0x4, 1, &check_of_http2()));
    let beginnings: [(SocketAddr, &[u8]); 4] = [
        (address, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"),
        (address, waits_for_its_body.as_bytes()),
        (address, &http2),
        (admin(&service), b"GET /dashboard/events HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    ];
    let mut streams = Vec::new();
    for (address, beginning) in beginnings {
        let mut stream = TcpStream::connect(address).await.expect("the service listens");
        stream.write_all(beginning).await.expect("the service reads");
        stream.read_u8().await.expect("the service answers");
        streams.push(stream);
    }
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // One for each connection, and one for the request of HTTP/2.
    while tasks() <= streams.len() {
        tokio::task::yield_now().await;
    }
    drop(service);
    for mut stream in streams {
        // The end, or a reset if bytes were left that nobody has read.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    while tasks() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
}

fn admin(service: &Running) -> SocketAddr {
    let ListenAddress::Tcp(address) = service.server.admin() else { panic!("a port") };
    *address
}

/// The end does not wait for a request whose answer takes too long, and its connection is closed.
#[tokio::test]
async fn what_is_not_answered_in_time_is_closed() {
    let time = "[server.connections]\ndrain_time = '1ms'\nbody_time = '1h'\nidle_time = '1h'\n";
    let service = Running::with(THREE_A_DAY, time).await;
    let mut stream = waits_for_a_body(&service).await;
    service.server.stop().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}
