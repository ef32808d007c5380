//! The body of a request that is refused is not read.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tollgate_http::{HttpLimiter, RateLimitLayer};
use tollgate_http_network_tests::{DEADLINE, Server, curl_text, frozen_limiter, left, needs};

const MEBIBYTE: u64 = 1 << 20;
/// More than the buffers of a connection hold.
const UPLOAD: u64 = 64 * MEBIBYTE;

/// A server that takes uploads, one of them a day; how many bytes its handler has got; its limiter.
fn serve() -> (Server, Arc<AtomicU64>, HttpLimiter) {
    let limiter = frozen_limiter(
        r#"
        always = ["uploads"]
        [limits.uploads]
        quota = "1/day"
        key = "address"
        "#,
    );
    let got = Arc::new(AtomicU64::new(0));
    let take = {
        let got = Arc::clone(&got);
        move |body: Bytes| async move {
            got.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
    };
    let router = Router::new()
        .route("/upload", post(take))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(RateLimitLayer::new(limiter.clone()));
    (Server::start(router), got, limiter)
}

/// With `Expect: 100-continue`, a client waits for leave to send. The first upload gets it, the
/// second one is refused before a byte of it is sent.
#[test]
fn a_client_that_expects_leave_sends_nothing() {
    if !needs("uploads::a_client_that_expects_leave_sends_nothing", &["curl"]) {
        return;
    }
    let (server, got, limiter) = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("upload");
    File::create(&file).and_then(|file| file.set_len(UPLOAD)).expect("a file of zeros");
    let file = file.to_str().expect("a path in UTF-8");
    let url = server.url("/upload");
    let upload = || {
        curl_text(&[
            "--http1.1",
            "--request",
            "POST",
            "--header",
            "Expect: 100-continue",
            // As long as it takes: curl would else send after a second without leave.
            "--expect100-timeout",
            "60",
            "--upload-file",
            file,
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} %{size_upload}",
            &url,
        ])
    };
    assert_eq!(upload(), format!("200 {UPLOAD}"));
    assert_eq!(got.load(Ordering::Relaxed), UPLOAD);
    assert_eq!(upload(), "429 0");
    assert_eq!(got.load(Ordering::Relaxed), UPLOAD);
    assert_eq!(left(&limiter, "/"), [0]);
}

/// Sends the head of a request and a part of its body, which never ends, and reads the answer.
fn answer_to_the_beginning(server: &Server, head: &str, part: &[u8]) -> String {
    let mut connection = std::net::TcpStream::connect(server.address()).expect("a connection");
    connection.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    write!(connection, "POST /upload HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n")
        .expect("it is sent");
    connection.write_all(part).expect("it is sent");
    let mut answer = String::new();
    // The server can't find the next request behind a body that it does not read, so it closes.
    connection.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    answer
}

#[test]
fn a_body_that_never_ends_is_refused_at_once() {
    let (server, got, limiter) = serve();
    let all = answer_to_the_beginning(&server, "Content-Length: 3\r\nConnection: close", b"all");
    assert!(all.starts_with("HTTP/1.1 200 "), "{all}");
    assert_eq!(left(&limiter, "/"), [0]);
    for (head, part) in [
        ("Content-Length: 1000000000", &b"the first bytes"[..]),
        ("Content-Length: 1000000000", b""),
        ("Transfer-Encoding: chunked", b"5\r\nfirst\r\n"),
        ("Transfer-Encoding: chunked", b""),
        ("Content-Length: 10\r\nExpect: 100-continue", b""),
    ] {
        let answer = answer_to_the_beginning(&server, head, part);
        assert!(answer.starts_with("HTTP/1.1 429 "), "{head}: {answer}");
        assert!(answer.contains("\r\nretry-after: 86400\r\n"), "{head}: {answer}");
        assert!(answer.ends_with('}'), "the whole body is there: {answer}");
    }
    assert_eq!(got.load(Ordering::Relaxed), 3);
}

/// In HTTP/2, the refusal ends only the stream: the server asks the client to stop sending without
/// an error (RFC 9113, section 8.1), and the connection serves the next request.
///
/// Not with curl: some versions of it (7.88 is one) then lose the whole answer, that of any server.
#[tokio::test]
async fn an_upload_in_http_2_is_cut_off() {
    let (server, got, _) = serve();
    let connection = TcpStream::connect(server.address()).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(connection).await.expect("a handshake");
    tokio::spawn(connection);
    let mut upload = || {
        let request = http::Request::post("http://test/upload").body(()).expect("a request");
        client.send_request(request, false).expect("it is sent")
    };

    let (answer, mut body) = upload();
    body.send_data(b"all of it"[..].into(), true).expect("it is sent");
    assert_eq!(answer.await.expect("an answer").status(), 200);
    assert_eq!(got.load(Ordering::Relaxed), 9);

    for _ in 0..10 {
        let (answer, mut body) = upload();
        body.send_data(b"the beginning"[..].into(), false).expect("it is sent");
        let mut answer = timeout(DEADLINE, answer).await.expect("in time").expect("an answer");
        assert_eq!(answer.status(), 429);
        let mut text = Vec::new();
        while let Some(data) = answer.body_mut().data().await {
            text.extend_from_slice(&data.expect("no error"));
        }
        assert!(text.ends_with(b"}"), "the whole body is there: {text:?}");
        let reset = std::future::poll_fn(|context| body.poll_reset(context));
        let reason = timeout(DEADLINE, reset).await.expect("in time").expect("a reset");
        assert_eq!(reason, h2::Reason::NO_ERROR);
    }
    assert_eq!(got.load(Ordering::Relaxed), 9);
}
