//! What counts as used.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use tollgate::TokioClock;
use tollgate::llm::{KeyPool, OnDrop};
use tollgate_http::llm::{Estimator, LlmLayer};
use tower::ServiceExt as _;

use super::support::{
    Client, answer, request, scene, send, stream, tokens, tokens_used, usage, used,
};

#[tokio::test(start_paused = true)]
async fn the_usage_of_an_answer_counts_once_its_body_has_passed() {
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([used(12, 34)]);
    let answer = client.around(&layer).oneshot(request(400, 300)).await.expect("an answer");
    // The estimate, and a request in flight, until then.
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (400, 1));
    answer.into_body().collect().await.expect("a body");
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (46, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_as_it_comes_and_counts_at_its_end() {
    let (pool, layer) = scene(1, tokens());
    let events = [
        r#"data: {"type":"message_start","message":{"usage":{"input_tokens":25,"cache_creation_input_tokens":5,"cache_read_input_tokens":100,"output_tokens":1}}}"#,
        r#"data: {"type":"content_block_delta","delta":{"text":"Hello"}}"#,
        r#"data: {"type":"message_delta","usage":{"output_tokens":15}}"#,
    ];
    let client = Client::new([stream(&events)]);
    let answer = client.around(&layer).oneshot(request(400, 300)).await.expect("an answer");
    let mut body = answer.into_body();
    for event in events {
        let frame = body.frame().await.expect("a frame").expect("no error");
        let data = frame.into_data().expect("data");
        assert_eq!(data, format!("{event}\n\n"));
        assert_eq!(usage(&pool, "a").in_flight, 1);
    }
    assert!(body.frame().await.is_none());
    // What is read from the cache does not count; what is written to it does.
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (25 + 5 + 15, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_usage_counts_as_estimated() {
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([answer(200, "{}"), answer(204, "")]);
    let service = client.around(&layer);
    assert_eq!(send(&service, request(400, 300)).await, Ok((200, "{}".to_owned())));
    assert_eq!(tokens_used(&pool, "a"), 400);
    assert_eq!(send(&service, request(400, 300)).await, Ok((204, String::new())));
    assert_eq!(tokens_used(&pool, "a"), 800);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_counts_what_is_known_of_it() {
    let start = r#"data: {"message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    for (read, right) in [(0, 400), (1, 25 + 300)] {
        let (pool, layer) = scene(1, tokens());
        let client = Client::new([stream(&[start, "data: {}"])]);
        let answer = client.around(&layer).oneshot(request(400, 300)).await.expect("an answer");
        let mut body = answer.into_body();
        for _ in 0..read {
            body.frame().await.expect("a frame").expect("no error");
        }
        drop(body);
        assert_eq!(tokens_used(&pool, "a"), right, "after {read} frames");
    }
}

#[tokio::test(start_paused = true)]
async fn on_drop_decides_about_an_answer_of_which_nothing_is_known() {
    let refunding = KeyPool::builder().clock(TokioClock::new()).on_drop(OnDrop::Refund).build();
    refunding.add("a", "sk-a", tokens()).expect("a new key");
    let pool = Arc::new(refunding);
    let layer = LlmLayer::pool(Arc::clone(&pool));
    let client = Client::new([answer(200, "{}")]);
    drop(client.around(&layer).oneshot(request(400, 300)).await.expect("an answer"));
    assert_eq!(tokens_used(&pool, "a"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_estimator_of_the_user_decides_what_is_acquired() {
    let estimator = Estimator::new().count_with(|_, text| text.len() as u64);
    let (pool, layer) = scene(1, tokens());
    let layer = layer.estimator(estimator);
    let client = Client::new([answer(200, "{}")]);
    send(&client.around(&layer), request(400, 300)).await.expect("an answer");
    assert_eq!(tokens_used(&pool, "a"), 700);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_reads_itself_to_the_end_is_settled_without_another_poll() {
    let (pool, layer) = scene(1, tokens());
    let body = r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#;
    let client =
        tower::service_fn(move |_: http::Request<http_body_util::Full<bytes::Bytes>>| async move {
            let body = http_body_util::Full::<bytes::Bytes>::from(body);
            Ok::<_, std::io::Error>(http::Response::new(body))
        });
    let service = tower::Layer::layer(&layer, client);
    let mut body = service.oneshot(request(400, 300)).await.expect("an answer").into_body();
    body.frame().await.expect("a frame").expect("no error");
    // hyper does not ask a body that says that it has ended.
    assert!(http_body::Body::is_end_stream(&body));
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (7, 0));
}

/// Client libraries stop at the mark, and drop the body.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_at_the_mark_of_its_end_is_whole() {
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":25,"completion_tokens":3}}"#;
    let start = r#"data: {"message":{"usage":{"input_tokens":25,"output_tokens":1}}}"#;
    let delta = r#"data: {"usage":{"output_tokens":3}}"#;
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}";
    for events in [vec!["data: {}", usage, "data: [DONE]"], vec![start, "data: {}", delta, stop]] {
        let (pool, layer) = scene(1, tokens());
        let client = Client::new([stream(&events)]);
        let answer = client.around(&layer).oneshot(request(400, 300)).await.expect("an answer");
        let mut body = answer.into_body();
        for _ in &events {
            body.frame().await.expect("a frame").expect("no error");
        }
        drop(body);
        assert_eq!(tokens_used(&pool, "a"), 28, "{events:?}");
    }
}
