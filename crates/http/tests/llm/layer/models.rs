//! Requests to several models.

use std::sync::Arc;

use tollgate::TokioClock;
use tollgate::llm::{KeyPool, Limits, ModelPool};
use tollgate_http::llm::LlmLayer;

use super::support::{Client, answer, request_to, send, used};

type Pool = ModelPool<&'static str, TokioClock>;

fn scene() -> (Arc<Pool>, LlmLayer) {
    let pool =
        ModelPool::with_options(KeyPool::builder().clock(TokioClock::new()).try_first(false));
    pool.add("a", "sk-a", Limits::new()).expect("a new key");
    pool.set_limits("a", "slow", Limits::new().requests_per_minute(1)).expect("valid limits");
    let pool = Arc::new(pool);
    (Arc::clone(&pool), LlmLayer::models(pool))
}

#[tokio::test(start_paused = true)]
async fn each_model_has_its_limits() {
    let (_, layer) = scene();
    let client = Client::new((0..5).map(|_| used(1, 1)));
    let service = client.around(&layer);
    for model in ["slow", "quick", "quick", "slow", "quick"] {
        send(&service, request_to(model, 4, 4)).await.expect("an answer");
    }
    let times: Vec<u128> = client.keys_and_times().into_iter().map(|(_, at)| at).collect();
    assert_eq!(times, [0, 0, 0, 60_000, 60_000]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_so_for_all_models() {
    let (_, layer) = scene();
    let client = Client::new([used(1, 1), answer(401, "")]);
    let service = client.around(&layer);
    send(&service, request_to("slow", 4, 4)).await.expect("an answer");
    assert_eq!(send(&service, request_to("quick", 4, 4)).await, Ok((401, String::new())));
    let error = send(&service, request_to("slow", 4, 4)).await.expect_err("no key");
    assert!(error.starts_with("the pool has no active key: add one"), "{error}");
}
