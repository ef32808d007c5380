//! What is sent again, when, and with which key.

use std::time::Duration;

use http::StatusCode;
use tollgate::llm::{Limits, Meaning};

use super::support::{
    Client, Step, answer, request, scene, send, tokens, tokens_used, usage, used, with_header,
};

const LIMITED: &str =
    r#"{"error":{"code":"rate_limit_exceeded","message":"Please try again in 20s."}}"#;

fn at(key: &str, ms: u128) -> (String, u128) {
    (key.to_owned(), ms)
}

#[tokio::test(start_paused = true)]
async fn a_limited_key_waits_as_long_as_the_body_says() {
    let (pool, layer) = scene(1, tokens());
    let client = Client::new([answer(429, LIMITED), used(1, 2)]);
    let service = client.around(&layer);
    assert_eq!(send(&service, request(400, 300)).await.expect("an answer").0, 200);
    assert_eq!(client.keys_and_times(), [at("a", 0), at("a", 20_000)]);
    let sent = client.sent();
    assert_eq!(sent[0].body, sent[1].body);
    // The refused request took no tokens.
    assert_eq!(tokens_used(&pool, "a"), 3);
}

#[tokio::test(start_paused = true)]
async fn the_longer_wait_of_header_and_body_counts() {
    for (header, ms) in [("5", 20_000), ("30", 30_000)] {
        let client =
            Client::new([with_header(answer(429, LIMITED), "retry-after", header), used(1, 2)]);
        let service = client.around(&scene(1, tokens()).1);
        send(&service, request(4, 4)).await.expect("an answer");
        assert_eq!(client.keys_and_times(), [at("a", 0), at("a", ms)]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_key_serves_at_once() {
    let (pool, layer) = scene(2, tokens());
    let client = Client::new([answer(429, LIMITED), used(1, 2)]);
    assert_eq!(send(&client.around(&layer), request(4, 4)).await.expect("an answer").0, 200);
    let sent = client.keys_and_times();
    assert_eq!((sent[0].1, sent[1].1), (0, 0));
    assert_ne!(sent[0].0, sent[1].0);
    assert_eq!(usage(&pool, &sent[0].0).paused_for, Some(Duration::from_secs(20)));
}

#[tokio::test(start_paused = true)]
async fn after_the_last_try_the_caller_gets_the_answer_whole() {
    for tries in [0, 1, 2, 4] {
        let sent = tries.max(1) as usize;
        let (_, layer) = scene(1, tokens());
        let layer = layer.tries(tries);
        let client =
            Client::new((0..sent).map(|_| answer(529, r#"{"error":{"type":"overloaded_error"}}"#)));
        let seen = send(&client.around(&layer), request(4, 4)).await;
        assert_eq!(seen, Ok((529, r#"{"error":{"type":"overloaded_error"}}"#.to_owned())));
        assert_eq!(client.sent().len(), sent);
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again_with_growing_rests() {
    let client =
        Client::new([answer(500, ""), answer(502, ""), answer(503, ""), used(1, 2)]).slow();
    let service = client.around(&scene(1, tokens()).1.tries(4));
    assert_eq!(send(&service, request(4, 4)).await.expect("an answer").0, 200);
    let times: Vec<u128> = client.keys_and_times().into_iter().map(|(_, at)| at).collect();
    // The first failure is no reason to rest. The second one in a row costs half a second, and each
    // further one twice as much.
    assert_eq!(times, [0, 1, 502, 1_503]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_max_wait() {
    let (_, layer) = scene(1, tokens());
    let layer = layer.max_wait(Duration::from_secs(19));
    // The retry would come too late, so the caller gets the answer that asked for the wait.
    let client = Client::new([answer(429, LIMITED), used(1, 2)]);
    let service = client.around(&layer);
    let begin = tokio::time::Instant::now();
    assert_eq!(send(&service, request(4, 4)).await, Ok((429, LIMITED.to_owned())));
    // So does the next request.
    let error = send(&service, request(4, 4)).await.expect_err("paused");
    assert_eq!(error, "the wait would exceed its timeout: retry after 20s");
    assert_eq!((client.sent().len(), begin.elapsed()), (1, Duration::ZERO));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(send(&service, request(4, 4)).await.expect("an answer").0, 200);
    assert_eq!(client.keys_and_times()[1], at("a", 20_000));
}

#[tokio::test(start_paused = true)]
async fn the_waits_of_all_tries_count_together() {
    let (_, layer) = scene(1, tokens());
    let layer = layer.max_wait(Duration::from_secs(30));
    let client = Client::new([answer(429, LIMITED), answer(429, LIMITED)]);
    assert_eq!(send(&client.around(&layer), request(4, 4)).await.expect("an answer").0, 429);
    assert_eq!(client.keys_and_times(), [at("a", 0), at("a", 20_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_the_user_decides() {
    let (pool, layer) = scene(1, Limits::new());
    let layer = layer.retry_if(|attempt| {
        assert_eq!(
            attempt.meaning == Meaning::Limited,
            attempt.status == Some(StatusCode::TOO_MANY_REQUESTS)
        );
        match attempt.status {
            // The connection was lost.
            None => attempt.tries == 1,
            Some(StatusCode::NOT_FOUND) => true,
            Some(_) => attempt.wait < Some(Duration::from_secs(10)) && attempt.is_worth_a_retry(),
        }
    });
    for (steps, right) in [
        (vec![answer(404, ""), used(1, 1)], Ok(200)),
        (vec![answer(429, LIMITED)], Ok(429)),
        (vec![answer(429, "try again in 2s"), used(1, 1)], Ok(200)),
        (vec![Step::Fail, used(1, 1)], Ok(200)),
        (vec![Step::Fail, Step::Fail], Err("connection lost".to_owned())),
    ] {
        pool.restore("a");
        let client = Client::new(steps.clone());
        let seen = send(&client.around(&layer), request(4, 4)).await;
        assert_eq!(seen.map(|(status, _)| status), right, "{steps:?}");
        assert_eq!(client.sent().len(), steps.len());
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_learned_from_the_headers_of_any_answer() {
    let (pool, layer) = scene(1, Limits::new());
    let limited = |step| with_header(step, "x-ratelimit-limit-requests-minute", "7");
    let client = Client::new([limited(used(1, 1)), limited(answer(404, ""))]);
    let service = client.around(&layer);
    for _ in 0..2 {
        send(&service, request(4, 4)).await.expect("an answer");
        let limits = usage(&pool, "a").limits;
        assert_eq!(limits.iter().map(|limit| limit.limit).collect::<Vec<_>>(), [7]);
    }
}
