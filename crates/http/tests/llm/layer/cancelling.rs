//! Calls that are dropped.

use std::sync::Arc;
use std::time::Duration;

use tollgate::TokioClock;
use tollgate::llm::{KeyPool, Limits};
use tollgate_http::llm::LlmLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{Client, request, scene, send, tokens, tokens_used, usage, used};

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_takes_nothing() {
    let pool = KeyPool::builder().clock(TokioClock::new()).try_first(false).build();
    pool.add("a", "sk-a", Limits::new().requests_per_minute(1)).expect("a new key");
    let pool = Arc::new(pool);
    let layer = LlmLayer::pool(Arc::clone(&pool));
    let client = Client::new([used(1, 1), used(1, 1)]);
    let service = client.around(&layer);
    send(&service, request(4, 4)).await.expect("an answer");
    let waiting = tokio::time::timeout(Duration::from_secs(30), send(&service, request(4, 4)));
    assert!(waiting.await.is_err());
    assert_eq!(usage(&pool, "a").waiting, 0);
    send(&service, request(4, 4)).await.expect("an answer");
    assert_eq!(client.keys_and_times()[1].1, 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_flight_counts_as_estimated() {
    let (pool, layer) = scene(1, tokens());
    let service =
        layer.layer(service_fn(|_: http::Request<http_body_util::Full<bytes::Bytes>>| {
            std::future::pending::<
                Result<http::Response<http_body_util::Full<bytes::Bytes>>, std::io::Error>,
            >()
        }));
    let call = tokio::time::timeout(Duration::from_millis(1), service.oneshot(request(400, 300)));
    assert!(call.await.is_err());
    assert_eq!((tokens_used(&pool, "a"), usage(&pool, "a").in_flight), (400, 0));
}
