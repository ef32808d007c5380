//! Answers that last, and clients that leave: a request is charged once, when it comes.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use axum::routing::{any, get};
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tollgate_http::{HttpLimiter, RateLimitLayer};
use tollgate_http_network_tests::{DEADLINE, Server, frozen_limiter, left};

/// Three requests a minute, wherever they go.
const POLICY: &str = r#"
    always = ["calls"]
    [limits.calls]
    quota = "3/min"
    key = "address"
"#;

fn serve(router: Router, limiter: &HttpLimiter) -> Server {
    Server::start(router.layer(RateLimitLayer::new(limiter.clone())))
}

async fn upgrade(socket: WebSocketUpgrade) -> Response {
    socket.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_websocket_is_charged_at_its_upgrade() {
    let limiter = frozen_limiter(POLICY);
    let server = serve(Router::new().route("/socket", any(upgrade)), &limiter);
    let url = format!("ws://{}/socket", server.address());
    let mut open = Vec::new();
    for left in (0..3).rev() {
        let (socket, answer) = tokio_tungstenite::connect_async(&url).await.expect("an upgrade");
        assert_eq!(answer.status(), 101);
        let after = if left == 0 { 20 } else { (3 - left) * 20 };
        let expected = format!(r#""calls";r={left};t={after}"#);
        assert_eq!(answer.headers()["ratelimit"], expected);
        open.push(socket);
    }
    let refusal = tokio_tungstenite::connect_async(&url).await.expect_err("a refusal");
    let tungstenite::Error::Http(refusal) = refusal else { panic!("{refusal}") };
    assert_eq!(refusal.status(), 429);
    assert_eq!(refusal.headers()["retry-after"], "20");
    // Messages cost nothing, also when nothing is left.
    for socket in &mut open {
        for number in 0..50 {
            let message = tungstenite::Message::text(number.to_string());
            socket.send(message.clone()).await.expect("it is sent");
            let answer = socket.next().await.expect("an answer").expect("no error");
            assert_eq!(answer, message);
        }
    }
    assert_eq!(left(&limiter, "/"), [0]);
}

/// In HTTP/2, a WebSocket is a stream that begins with an extended CONNECT (RFC 8441).
#[tokio::test]
async fn a_websocket_over_http_2_is_charged_at_its_connect() {
    let limiter = frozen_limiter(POLICY);
    let server = serve(Router::new().route("/socket", any(upgrade)), &limiter);
    let connection = TcpStream::connect(server.address()).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(connection).await.expect("a handshake");
    tokio::spawn(connection);
    // The server's settings come before its first answer.
    let first = http::Request::get("http://test/other").body(()).expect("a request");
    let (answer, _) = client.send_request(first, true).expect("it is sent");
    assert_eq!(answer.await.expect("an answer").status(), 404);
    assert!(client.is_extended_connect_protocol_enabled());

    let mut open = Vec::new();
    for (status, left) in [(200, "r=1;"), (200, "r=0;"), (429, "r=0;")] {
        let request = http::Request::connect("http://test/socket")
            .header("sec-websocket-version", "13")
            .extension(h2::ext::Protocol::from_static("websocket"))
            .body(())
            .expect("a request");
        let (answer, send) = client.send_request(request, false).expect("it is sent");
        let answer = timeout(DEADLINE, answer).await.expect("in time").expect("an answer");
        assert_eq!(answer.status(), status);
        let told = answer.headers()["ratelimit"].to_str().expect("text");
        assert!(told.contains(left), "{told}");
        open.push((send, answer.into_body()));
    }
    let (send, receive) = &mut open[0];
    for _ in 0..5 {
        // "hi" as a text message, with a mask of zeros.
        send.send_data(b"\x81\x82\0\0\0\0hi"[..].into(), false).expect("it is sent");
        let mut got = Vec::new();
        while got.len() < 4 {
            let data = timeout(DEADLINE, receive.data()).await.expect("in time");
            got.extend_from_slice(&data.expect("data").expect("no error"));
        }
        assert_eq!(got, b"\x81\x02hi");
    }
    assert_eq!(left(&limiter, "/"), [0]);
}

/// A stream of the numbers that are sent from now on.
async fn events(
    State(numbers): State<broadcast::Sender<u32>>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let numbers = numbers.subscribe();
    Sse::new(stream::unfold(numbers, |mut numbers| async move {
        let number = numbers.recv().await.ok()?;
        Some((Ok(Event::default().data(number.to_string())), numbers))
    }))
}

/// Sends a request, and keeps the connection open.
async fn send(address: SocketAddr, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.expect("a connection");
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("it is sent");
    connection
}

/// Reads until `end` has come.
async fn read_until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut bytes = [0; 1024];
        let read = timeout(DEADLINE, connection.read(&mut bytes)).await.expect("in time");
        let read = read.expect("no error");
        assert!(read > 0, "the connection has ended: {text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).expect("text"));
    }
    text
}

#[tokio::test]
async fn a_stream_of_events_is_charged_at_its_head() {
    let limiter = frozen_limiter(POLICY);
    let (numbers, _) = broadcast::channel(16);
    let router = Router::new().route("/events", get(events)).with_state(numbers.clone());
    let server = serve(router, &limiter);
    let mut connection = send(server.address(), "/events").await;
    let head = read_until(&mut connection, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("\r\nratelimit: \"calls\";r=2;t=20\r\n"), "{head}");
    for number in 0..100 {
        numbers.send(number).expect("the handler listens");
        read_until(&mut connection, &format!("data: {number}\n\n")).await;
        assert_eq!(left(&limiter, "/"), [2]);
    }
    // The client leaves in the middle.
    drop(connection);
    timeout(DEADLINE, numbers.closed()).await.expect("the handler's stream is dropped");
    assert_eq!(left(&limiter, "/"), [2]);
}

/// Tells when it is made, and when it is dropped.
struct Telling(mpsc::UnboundedSender<&'static str>);

impl Drop for Telling {
    fn drop(&mut self) {
        // The test may have failed already.
        let _ = self.0.send("dropped");
    }
}

async fn never(State(sender): State<mpsc::UnboundedSender<&'static str>>) {
    let telling = Telling(sender);
    telling.0.send("called").expect("the test listens");
    std::future::pending::<()>().await;
}

/// A route that charges failures only gives the permit back when its answer is none. A client that
/// does not wait for the answer stays charged: its request may have been a failure.
#[tokio::test]
async fn a_client_that_leaves_stays_charged() {
    let limiter = frozen_limiter(
        r#"
        [limits.failures]
        quota = "3/min"
        key = "address"
        [[routes]]
        path = "/{*rest}"
        limits = ["failures"]
        charge = ["5xx"]
        "#,
    );
    let (sender, mut told) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/never", get(never))
        .route("/at_once", get(|| async {}))
        .with_state(sender);
    let server = serve(router, &limiter);
    for remaining in [2, 1] {
        let mut connection = send(server.address(), "/at_once").await;
        let head = read_until(&mut connection, "\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(left(&limiter, "/"), [remaining + 1]);

        let connection = send(server.address(), "/never").await;
        let event = timeout(DEADLINE, told.recv()).await.expect("the handler is called");
        assert_eq!(event, Some("called"));
        drop(connection);
        let event = timeout(DEADLINE, told.recv()).await.expect("the handler's future is dropped");
        assert_eq!(event, Some("dropped"));
        assert_eq!(left(&limiter, "/"), [remaining]);
    }
}
