//! The body of a request that is refused is not read.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
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
        .route("/", post(take))
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
    let url = server.url("/");
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
    let mut connection = TcpStream::connect(server.address()).expect("a connection");
    connection.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    write!(connection, "POST / HTTP/1.1\r\nHost: test\r\n{head}\r\n\r\n").expect("it is sent");
    connection.write_all(part).expect("it is sent");
    let mut answer = String::new();
    // The server can't find the next request behind a body that it does not read, so it closes.
    connection.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    answer
}

#[test]
fn a_body_that_never_ends_is_refused_at_once() {
    let (server, got, limiter) = serve();
    while left(&limiter, "/") != [0] {
        let facts = tollgate_http::Facts::new("POST", "/");
        let peer = std::net::IpAddr::from([127, 0, 0, 1]);
        assert!(limiter.decide(&facts.peer(peer)).now().expect("memory").is_allowed());
    }
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
    assert_eq!(got.load(Ordering::Relaxed), 0);
}

/// In HTTP/2, the refusal ends only the stream: the connection serves the next request.
#[test]
fn an_upload_in_http_2_is_cut_off() {
    if !needs("uploads::an_upload_in_http_2_is_cut_off", &["curl"]) {
        return;
    }
    let (server, got, _) = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("upload");
    File::create(&file).and_then(|file| file.set_len(UPLOAD)).expect("a file of zeros");
    let file = file.to_str().expect("a path in UTF-8");
    let url = server.url("/");
    let upload = [
        "--http2-prior-knowledge",
        "--request",
        "POST",
        "--upload-file",
        file,
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{num_connects} %{size_upload}\n",
        &url,
    ];
    let text = curl_text(&[&upload[..], &["--next"], &upload[..]].concat());
    let numbers: Vec<Vec<u64>> = text
        .lines()
        .map(|line| line.split(' ').map(|number| number.parse().expect("a number")).collect())
        .collect();
    assert_eq!(numbers[0], [200, 1, UPLOAD]);
    assert_eq!(numbers[1][..2], [429, 0]);
    assert!(numbers[1][2] < UPLOAD, "{text}");
    assert_eq!(got.load(Ordering::Relaxed), UPLOAD);
}
