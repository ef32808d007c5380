//! Which key a request carries, and what becomes of keys.

use std::sync::Arc;

use http::header::HeaderName;
use tollgate::TokioClock;
use tollgate::llm::{KeyPool, Limiter, Limits};
use tollgate_http::llm::{KeyHeader, LlmLayer};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::support::{Client, answer, request, scene, send, tokens, tokens_used, used};

const NOT_ACCEPTED: &str = r#"{"error":{"code":"invalid_api_key"}}"#;

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_accepted_is_not_used_again() {
    let (pool, layer) = scene(2, tokens());
    let client = Client::new([answer(401, NOT_ACCEPTED), used(1, 1), used(1, 1)]);
    let service = client.around(&layer);
    for _ in 0..2 {
        assert_eq!(send(&service, request(4, 4)).await.expect("an answer").0, 200);
    }
    let keys: Vec<_> = client.sent().into_iter().map(|sent| sent.key).collect();
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[1], keys[2]);
    // Nothing of it counts.
    assert_eq!(tokens_used(&pool, &keys[0]), 0);
}

#[tokio::test(start_paused = true)]
async fn without_another_key_the_caller_gets_the_answer() {
    let (_, layer) = scene(1, tokens());
    let client = Client::new([answer(401, NOT_ACCEPTED)]);
    let service = client.around(&layer);
    assert_eq!(send(&service, request(4, 4)).await, Ok((401, NOT_ACCEPTED.to_owned())));
    let error = send(&service, request(4, 4)).await.expect_err("no key");
    assert!(error.starts_with("the pool has no active key: add one"), "{error}");
    assert_eq!(client.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limiter_leaves_the_key_to_the_client() {
    let limiter = Limiter::builder().clock(TokioClock::new()).build().expect("no limits");
    let client = Client::new([answer(401, NOT_ACCEPTED), used(1, 1)]);
    let service = client.around(&LlmLayer::limiter(limiter));
    for right in [401, 200] {
        let mut request = request(4, 4);
        request.headers_mut().insert("authorization", "Bearer sk-own".parse().expect("valid"));
        assert_eq!(send(&service, request).await.expect("an answer").0, right);
    }
    assert!(client.sent().iter().all(|sent| sent.key == "own"));
}

/// The body of a 400 says that the key is not valid, as Gemini's does.
#[tokio::test(start_paused = true)]
async fn the_body_says_what_an_error_means_for_the_key() {
    let gemini = r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    let no_credit = r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#;
    for (status, body) in
        [(400, gemini), (400, no_credit), (429, r#"{"error":{"code":"insufficient_quota"}}"#)]
    {
        let (_, layer) = scene(2, tokens());
        let client = Client::new([answer(status, body), used(1, 1), used(1, 1), used(1, 1)]);
        let service = client.around(&layer);
        for _ in 0..3 {
            assert_eq!(send(&service, request(4, 4)).await.expect("an answer").0, 200);
        }
        let keys = client.keys_and_times();
        let others = keys.iter().skip(1);
        assert!(others.clone().all(|(key, at)| *key != keys[0].0 && *at == 0), "{body}: {keys:?}");
    }
}

/// One flagged prompt must not empty a pool.
#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_request_says_nothing_of_the_key() {
    let (pool, layer) = scene(2, tokens());
    let flagged = r#"{"error":{"code":"content_policy_violation","message":"flagged"}}"#;
    let forbidden = r#"{"error":{"type":"permission_error","message":"not in your region"}}"#;
    let too_large = r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 31538.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    let steps = [(400, flagged), (403, forbidden), (429, too_large), (404, "{}"), (400, flagged)];
    let client = Client::new(steps.map(|(status, body)| answer(status, body)));
    let service = client.around(&layer);
    for (status, body) in steps {
        assert_eq!(send(&service, request(4, 4)).await, Ok((status, body.to_owned())));
    }
    assert_eq!(client.sent().len(), steps.len());
    for id in ["a", "b"] {
        assert_eq!(pool.usage(id).expect("a key").paused_for, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_is_that_of_the_host_or_of_the_user() {
    for (header, host, name, value) in [
        (KeyHeader::ByHost, "api.anthropic.com", "x-api-key", "sk-a"),
        (KeyHeader::ByHost, "x.openai.azure.com", "api-key", "sk-a"),
        (KeyHeader::ByHost, "api.openai.com", "authorization", "Bearer sk-a"),
        (KeyHeader::Named(HeaderName::from_static("x-own")), "api.openai.com", "x-own", "sk-a"),
    ] {
        let (_, layer) = scene(1, Limits::new());
        let layer = layer.key_header(header);
        let service = layer.layer(service_fn(
            move |request: http::Request<http_body_util::Full<bytes::Bytes>>| {
                assert_eq!(request.headers()[name], value);
                assert_eq!(request.headers().len(), 1);
                std::future::ready(Ok::<_, std::io::Error>(http::Response::new(
                    String::new().into(),
                )))
                    as std::future::Ready<
                        Result<http::Response<http_body_util::Full<bytes::Bytes>>, _>,
                    >
            },
        ));
        let mut request = request(4, 4);
        *request.uri_mut() = format!("https://{host}/v1/x").parse().expect("a URI");
        service.oneshot(request).await.expect("an answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_fits_into_no_header_is_an_error_and_counts_nothing() {
    let pool = KeyPool::builder().clock(TokioClock::new()).build();
    pool.add("a", "sk-a\n", tokens()).expect("a new key");
    let pool = Arc::new(pool);
    let layer = LlmLayer::pool(Arc::clone(&pool));
    let error = send(&Client::new([]).around(&layer), request(400, 300)).await.expect_err("no key");
    assert_eq!(error, "the key could not be put into the request");
    assert_eq!(tokens_used(&pool, "a"), 0);
}
