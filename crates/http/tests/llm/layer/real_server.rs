//! A real client and a real server on loopback.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tollgate::ManualClock;
use tollgate::llm::{KeyPool, Limits};
use tollgate_http::llm::LlmLayer;
use tower::{Layer as _, ServiceExt as _};

use super::support::{Piece, Scripted, tokens};

/// What the server has seen.
#[derive(Default)]
struct Seen {
    answered: u64,
    tokens: u64,
    spent: u64,
    broken: u64,
}

/// The key `spent` is out of money, the key `broken` fails in the middle of each stream, and the
/// key `good` answers. Streams are sent byte by byte.
async fn chat(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let mut seen = seen.lock().expect("no panic");
    let begin = r#"{"choices":[{"delta":{"content":"Hi"}}],"usage":null}"#;
    let end = match headers["authorization"].to_str().expect("text") {
        "Bearer sk-spent" => {
            seen.spent += 1;
            let body = r#"{"error":{"type":"insufficient_quota","code":"insufficient_quota"}}"#;
            return (StatusCode::TOO_MANY_REQUESTS, body).into_response();
        }
        "Bearer sk-broken" => {
            seen.broken += 1;
            r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#.to_owned()
        }
        _ => {
            let output = asked["max_tokens"].as_u64().expect("a number") / 2;
            seen.answered += 1;
            seen.tokens += 10 + output;
            let usage = format!(r#"{{"prompt_tokens":10,"completion_tokens":{output}}}"#);
            format!("{{\"choices\":[],\"usage\":{usage}}}\r\n\r\ndata: [DONE]")
        }
    };
    let stream = format!("data: {begin}\r\n\r\ndata: {end}\r\n\r\n");
    let pieces = stream.bytes().map(|byte| Piece::Data(Bytes::copy_from_slice(&[byte])));
    ([("content-type", "text/event-stream")], Body::new(Scripted::new(pieces))).into_response()
}

#[tokio::test]
async fn many_callers_share_keys_of_which_some_fail() {
    const CALLERS: u64 = 10;
    const CALLS: u64 = 12;

    let seen = Arc::new(Mutex::new(Seen::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("http://{}/v1/chat/completions", listener.local_addr().expect("an address"));
    let app = axum::Router::new().route("/v1/chat/completions", post(chat));
    let app = app.with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, app).await });

    // The clock stands still, so nothing refills and no rest ends.
    let pool = KeyPool::builder().clock(ManualClock::new()).build();
    // Two of the keys send one request first, because nothing is known of their limits.
    pool.add("spent", "sk-spent", Limits::new()).expect("a new key");
    pool.add("broken", "sk-broken", Limits::new()).expect("a new key");
    pool.add("good", "sk-good", tokens()).expect("a new key");
    let pool = Arc::new(pool);
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let service = LlmLayer::pool(Arc::clone(&pool)).layer(client);

    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let (service, uri) = (service.clone(), uri.clone());
        callers.push(tokio::spawn(async move {
            let mut good = 0;
            for call in 0..CALLS {
                let max_tokens = 100 + caller * CALLS + call;
                let body =
                    format!(r#"{{"messages":[{{"content":"Hello"}}],"max_tokens":{max_tokens}}}"#);
                let request = Request::post(&uri).body(Full::from(body)).expect("a valid request");
                let answer = service.clone().oneshot(request).await.expect("an answer");
                assert_eq!(answer.status(), StatusCode::OK);
                let body = answer.into_body().collect().await.expect("a body").to_bytes();
                good += u64::from(body.ends_with(b"data: [DONE]\r\n\r\n"));
            }
            good
        }));
    }
    let mut good = 0;
    for caller in callers {
        good += caller.await.expect("no panic");
    }
    let seen = seen.lock().expect("no panic");
    assert_eq!(good, seen.answered);
    assert_eq!(seen.answered + seen.broken, CALLERS * CALLS);
    // One request found out that the key is spent; and no more streams failed than could be under
    // way at once.
    assert_eq!(seen.spent, 1);
    assert!(seen.broken <= CALLERS, "{} streams failed", seen.broken);
    let usage = pool.usage("good").expect("a key");
    assert_eq!((usage.limits[0].used, usage.in_flight), (seen.tokens, 0));
}
