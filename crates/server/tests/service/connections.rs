//! What clients can make the service hold: slow, silent, large and many.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tollgate_server::net::ListenAddress;

use crate::support::{Running, THREE_A_DAY};

async fn connect(service: &Running) -> TcpStream {
    let ListenAddress::Tcp(address) = service.server.listen() else { panic!("it is a port") };
    TcpStream::connect(address).await.expect("the service listens")
}

/// Everything that the service sends until it closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection with bytes that nobody has read is reset.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

const BODY: &str = r#"{"method":"GET","path":"/","user":"alice"}"#;

fn request() -> String {
    format!("POST /v1/check HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{BODY}", BODY.len())
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let service = Running::with(THREE_A_DAY, "").await;
    let mut stream = connect(&service).await;
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(1 << 20));
    // The service closes before it has read all.
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let mut stream = connect(&service).await;
    let fields = "a: x\r\n".repeat(200);
    let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let service = Running::with(THREE_A_DAY, "[server.connections]\nbody = 1024\n").await;
    let url = format!("{}/v1/check", service.checks());
    let answer = service.send(http::Request::post(url), "x".repeat(1025)).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let times = "[server.connections]\nbody_time = '100ms'\nidle_time = '300ms'\n";
    let service = Running::with(THREE_A_DAY, times).await;
    // A silent one, one that stops in the preface of HTTP/2, one that stops in a head.
    for beginning in ["", "PRI * HTTP/2.0\r\n\r\n", "GET /healthz HTTP/1.1\r\nhost:"] {
        let mut stream = connect(&service).await;
        stream.write_all(beginning.as_bytes()).await.expect("the service reads");
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{beginning}: {answer}");
    }
    // One that stops in a body is told so.
    let mut stream = connect(&service).await;
    let head = request().replace(BODY, "{");
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

/// The time for a head began with the connection, so that idle ones were closed too soon.
#[tokio::test]
async fn an_idle_connection_is_kept() {
    let times = "[server.connections]\nbody_time = '1ms'\nidle_time = '1h'\n";
    let service = Running::with(THREE_A_DAY, times).await;
    let mut stream = connect(&service).await;
    for _ in 0..2 {
        let mut status = [0; 15];
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it reads");
        stream.read_exact(&mut status).await.expect("it answers");
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        let mut rest = [0; 1024];
        let ends = |bytes: &[u8]| bytes.ends_with(b"ok\n");
        let mut read = 0;
        while !ends(&rest[..read]) {
            read += stream.read(&mut rest[read..]).await.expect("the rest of the answer");
        }
        // Time for the service to close the connection, if it did so.
        let early = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut status)).await;
        assert!(early.is_err(), "the connection was closed");
    }
}

#[tokio::test]
async fn connections_above_the_bound_wait() {
    let service = Running::with(THREE_A_DAY, "[server.connections]\nmost = 2\n").await;
    let first = connect(&service).await;
    let second = connect(&service).await;
    let mut third = connect(&service).await;
    third.write_all(request().as_bytes()).await.expect("the operating system takes it");
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(50), third.read(&mut byte)).await;
    assert!(early.is_err(), "there is no room for it");
    drop(first);
    assert_eq!(third.read(&mut byte).await.expect("it is served"), 1);
    drop(second);
}

#[tokio::test]
async fn a_unix_socket_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("checks.sock");
    // A process that was killed has left its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let text = format!(
        "version = 1\n[server]\nlisten = 'unix:{}'\n[server.admin]\nlisten = '127.0.0.1:0'\n",
        path.display()
    );
    let config = tollgate_server::settings::ConfigFile::parse("a.toml".as_ref(), text.as_bytes());
    let config = config.expect("a configuration");
    // A file that is no socket is not replaced.
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, "notes").expect("the file is written");
    let text = text.replace("checks.sock", "notes.txt");
    let wrong = tollgate_server::settings::ConfigFile::parse("a.toml".as_ref(), text.as_bytes());
    let wrong = wrong.expect("a configuration");
    tollgate_server::run::Server::start(&wrong, None).await.expect_err("the path is taken");
    assert_eq!(std::fs::read_to_string(&other).expect("it is still there"), "notes");

    let server = tollgate_server::run::Server::start(&config, None).await.expect("it starts");
    let mut stream = UnixStream::connect(&path).await.expect("the service listens");
    let head = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the service reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the service answers");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop().await;
    assert!(!path.exists(), "the socket is removed");
}

/// `POST http://x/v1/check` in HPACK.
pub(crate) fn check_of_http2() -> Vec<u8> {
    [&[0x83, 0x86, 0x44, 9][..], b"/v1/check", &[0x41, 1], b"x"].concat()
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What CVE-2023-44487 is about: work that is asked for and given up at once.
#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    const GOAWAY: u8 = 7;
    const ENHANCE_YOUR_CALM: u32 = 0xb;
    let service = Running::with(THREE_A_DAY, "").await;
    let mut stream = connect(&service).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    // Few enough to be read at once: so the service reads all before it closes.
    for number in (1..201).step_by(2) {
        // With END_STREAM and END_HEADERS; then CANCEL.
        bytes.extend(frame(1, 0x5, number, &check_of_http2()));
        bytes.extend(frame(3, 0, number, &8_u32.to_be_bytes()));
    }
    stream.write_all(&bytes).await.expect("the service reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the service closes");
    let mut reasons = Vec::new();
    let mut rest = &answer[..];
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = after.split_at_checked(length) else { break };
        if let (GOAWAY, [_, _, _, _, reason @ ..]) = (*kind, payload) {
            reasons.extend(reason.first_chunk().copied().map(u32::from_be_bytes));
        }
        rest = next;
    }
    assert_eq!(reasons, [ENHANCE_YOUR_CALM], "{answer:?}");
    let answer = service.check(&serde_json::json!({"method": "GET", "path": "/"})).await;
    assert_eq!(answer.status, 400, "others are answered: this check has no address");
}
