//! What the types promise.

use bytes::Bytes;
use http_body_util::Full;
use tollgate::llm::{Error, KeyPool};
use tollgate_http::llm::{
    AnswerReader, Attempt, ErrorBody, Estimate, Estimator, KeyHeader, LlmBody, LlmError, LlmFuture,
    LlmLayer, LlmService,
};

fn is_send_and_sync<T: Send + Sync + 'static>() {}
fn is_send<T: Send + Unpin + 'static>() {}
fn is_error<T: std::error::Error + Send + Sync>() {}

type Body = LlmBody<Full<Bytes>>;

/// reqwest's bodies are `Sync` too, and `reqwest::Body::wrap` asks for it.
#[test]
fn types_can_be_sent_and_shared() {
    is_send_and_sync::<(LlmLayer, LlmService<()>, Body)>();
    is_send_and_sync::<Estimator>();
    is_send_and_sync::<(Estimate, AnswerReader, ErrorBody, Attempt, KeyHeader)>();
    is_send::<LlmFuture<(), ()>>();
    is_send::<Body>();
    is_error::<LlmError<std::io::Error>>();
}

#[test]
fn debug_output_has_no_secret() {
    let pool = KeyPool::new();
    pool.add("main", "sk-secret", tollgate::llm::Limits::new()).expect("a new key");
    let layer = LlmLayer::pool(pool).tries(7);
    let text = format!("{layer:?} {:?}", tower::Layer::layer(&layer, ()));
    assert!(!text.contains("secret") && text.contains("tries: 7"), "{text}");
}

#[test]
fn errors_say_why_nothing_was_sent() {
    let error = LlmError::<std::io::Error>::from(Error::NoKeys);
    assert_eq!(error.not_sent(), Some(&Error::NoKeys));
    assert_eq!(error.to_string(), Error::NoKeys.to_string());
}

/// A task of a runtime can hold all of it, with borrowed keys too.
#[tokio::test]
async fn calls_can_be_spawned() {
    let pool: KeyPool<&'static str> = KeyPool::new();
    pool.add("main", "sk-1", tollgate::llm::Limits::new()).expect("a new key");
    let client = tower::service_fn(|request: http::Request<Full<Bytes>>| async move {
        Ok::<_, std::io::Error>(http::Response::new(request.into_body()))
    });
    let service = tower::Layer::layer(&LlmLayer::pool(pool), client);
    let call = tokio::spawn(async move {
        let answer = tower::ServiceExt::oneshot(service, http::Request::new("{}".into())).await;
        http_body_util::BodyExt::collect(answer.expect("an answer").into_body()).await
    });
    let body = call.await.expect("no panic").expect("a body");
    assert_eq!(body.to_bytes(), "{}");
}
