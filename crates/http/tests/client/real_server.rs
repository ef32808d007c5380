//! A real client and a real server on loopback.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::get;
use http::Request;
use http::header::RETRY_AFTER;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tollgate::Quota;
use tollgate_http::client::WaitLayer;
use tower::{Layer, ServiceExt};

/// Refuses the third request, and all that come in the second after it.
#[derive(Default)]
struct Server {
    requests: u32,
    closed_until: Option<Instant>,
    refused: u32,
}

impl Server {
    fn answer(&mut self) -> (StatusCode, HeaderMap) {
        self.requests += 1;
        let now = Instant::now();
        if self.requests == 3 {
            self.closed_until = Some(now + Duration::from_secs(1));
        }
        if self.closed_until.is_none_or(|until| now >= until) {
            return (StatusCode::OK, HeaderMap::new());
        }
        self.refused += 1;
        let fields = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("1"))]);
        (StatusCode::TOO_MANY_REQUESTS, fields)
    }
}

#[tokio::test]
async fn a_server_refuses_once_and_never_again() {
    let server = Arc::new(Mutex::new(Server::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("http://{}/", listener.local_addr().expect("an address"));
    let shared = Arc::clone(&server);
    let handler = move || {
        let answer = shared.lock().expect("no panic").answer();
        async move { answer }
    };
    let app = axum::Router::new().route("/", get(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let layer = WaitLayer::per_host(Quota::per_second(200)).expect("a valid quota");
    let service = layer.layer(client);
    let mut statuses = Vec::new();
    for _ in 0..20 {
        let request = Request::get(&uri).body(Empty::new()).expect("a valid request");
        statuses.push(service.clone().oneshot(request).await.expect("an answer").status());
    }
    let mut expected = vec![StatusCode::OK; 20];
    expected[2] = StatusCode::TOO_MANY_REQUESTS;
    assert_eq!(statuses, expected);
    assert_eq!(server.lock().expect("no panic").refused, 1);
}
