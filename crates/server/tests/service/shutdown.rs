//! The end of the service.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tollgate_server::net::ListenAddress;

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

#[tokio::test]
async fn an_answer_that_never_comes_to_be_is_not_waited_for() {
    let time = "[server.connections]\ndrain_time = '100ms'\n";
    let service = Running::with(THREE_A_DAY, time).await;
    let ListenAddress::Tcp(address) = service.server.listen().clone() else { panic!("a port") };
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    let head = "POST /v1/check HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-length: 9\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    stream.read_u8().await.expect("the service wants the body");
    service.server.stop().await;
}
