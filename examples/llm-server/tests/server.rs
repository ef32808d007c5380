//! The server through a real connection: limits, headers, streams, and what goes wrong on order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tollgate_llm_server::{Dialect, Fault, Plan, Server, Tally};

/// So slow that a pause of the machine does not change what is left.
fn slow() -> Plan {
    Plan::per_minute(3, 300).at_once(Duration::from_secs(60))
}

async fn start(plan: Plan) -> Server {
    Server::start_paced(&[("key", plan)], Duration::ZERO, Duration::ZERO).await.unwrap()
}

/// Asks for an answer of 7 words to a prompt of 2, with 90 at most.
async fn ask(server: &Server, key: &str, more: Value) -> (u16, Response<String>) {
    let mut body = json!({
        "model": "small",
        "messages": [{"role": "user", "content": "Why not?"}],
        "max_tokens": 90,
        "metadata": {"answer_length": "7"},
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = Request::post(format!("{}/chat/completions", server.base_url()))
        .header("authorization", format!("Bearer {key}"))
        .body(Full::<Bytes>::from(body.to_string()))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    (head.status.as_u16(), Response::from_parts(head, text))
}

fn json_of(response: &Response<String>) -> Value {
    serde_json::from_str(response.body()).unwrap()
}

fn header<'a>(response: &'a Response<String>, name: &str) -> &'a str {
    response.headers().get(name).unwrap().to_str().unwrap()
}

#[tokio::test]
async fn an_answer_has_its_words_and_its_usage() {
    let server = start(slow()).await;
    let (status, response) = ask(&server, "key", json!({})).await;
    let answer = json_of(&response);
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!((status, content.split(' ').count()), (200, 7));
    let usage = json!({"prompt_tokens": 2, "completion_tokens": 7, "total_tokens": 9});
    assert_eq!(answer["usage"], usage);
    assert_eq!(header(&response, "x-ratelimit-remaining-requests"), "2");
    // 92 were reserved, and 83 of them given back.
    assert_eq!(header(&response, "x-ratelimit-remaining-tokens"), "291");
}

#[tokio::test]
async fn a_stream_has_the_same_words_and_tells_its_usage_if_asked() {
    let server = start(slow()).await;
    let (_, whole) = ask(&server, "key", json!({})).await;
    let options = json!({"stream": true, "stream_options": {"include_usage": true}});
    let (status, response) = ask(&server, "key", options).await;
    assert_eq!(status, 200);
    assert_eq!(header(&response, "content-type"), "text/event-stream; charset=utf-8");
    let events: Vec<_> = response.body().split_terminator("\n\n").collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    let events: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    assert_eq!(events.last().unwrap()["usage"]["total_tokens"], 9);
    let text: String = events
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(json_of(&whole)["choices"][0]["message"]["content"], text);

    let (_, silent) = ask(&server, "key", json!({"stream": true})).await;
    assert!(!silent.body().contains("total_tokens"));
    assert!(silent.body().contains(r#""finish_reason":"stop""#));
    let Tally { served, tokens, .. } = server.tally("key").unwrap();
    assert_eq!((served, tokens), (3, 27));
}

#[tokio::test]
async fn a_tool_is_called_whole_or_in_a_stream() {
    let server = start(Plan::per_minute(1_000, 1_000_000)).await;
    let tools = json!([{"type": "function", "function": {"name": "search"}}]);
    let (_, whole) = ask(&server, "key", json!({"tools": tools})).await;
    let choice = &json_of(&whole)["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "search");
    let (_, stream) = ask(&server, "key", json!({"tools": tools, "stream": true})).await;
    let first = stream.body().split("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    let first: Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["choices"][0]["delta"]["tool_calls"], choice["message"]["tool_calls"]);
    assert!(stream.body().ends_with("data: [DONE]\n\n"));
    // Two prompts of 2, and two calls of 12.
    assert_eq!(server.tally("key").unwrap().tokens, 28);
}

#[tokio::test]
async fn what_exceeds_the_limit_is_refused_with_the_time_to_wait() {
    let server = start(slow()).await;
    for _ in 0..3 {
        assert_eq!(ask(&server, "key", json!({})).await.0, 200);
    }
    let (status, response) = ask(&server, "key", json!({})).await;
    let seconds: u64 = header(&response, "retry-after").parse().unwrap();
    assert!(status == 429 && (1..=20).contains(&seconds), "{status} {seconds}");
    assert_eq!(json_of(&response)["error"]["code"], "rate_limit_exceeded");
    assert!(response.body().contains("Please try again in "));
    assert_eq!(server.tally("key").unwrap().limited, 1);
}

#[tokio::test]
async fn tokens_are_limited_too() {
    let server = start(slow()).await;
    let large = json!({"max_tokens": 290, "metadata": {"answer_length": "280"}});
    assert_eq!(ask(&server, "key", large.clone()).await.0, 200);
    assert_eq!(ask(&server, "key", large).await.0, 429);
}

#[tokio::test]
async fn what_was_ordered_goes_wrong_as_often_as_was_said() {
    let server = start(Plan::per_minute(1_000, 1_000_000)).await;
    let wait = Some(Duration::from_millis(1_500));
    for (fault, expected, code) in [
        (Fault::Unauthorized, 401, json!("invalid_api_key")),
        (Fault::Unpaid, 402, json!("insufficient_credits")),
        (Fault::Forbidden, 403, json!("unsupported_country")),
        (Fault::Limited { retry_after: wait }, 429, json!("rate_limit_exceeded")),
        (Fault::QuotaSpent, 429, json!("insufficient_quota")),
        (Fault::Failed, 500, json!(null)),
        (Fault::Overloaded, 529, json!(null)),
    ] {
        server.fail_next("key", fault, 2);
        for _ in 0..2 {
            let (status, response) = ask(&server, "key", json!({})).await;
            assert_eq!((status, &json_of(&response)["error"]["code"]), (expected, &code));
            if fault == (Fault::Limited { retry_after: wait }) {
                assert_eq!(header(&response, "retry-after"), "2");
            }
        }
        assert_eq!(ask(&server, "key", json!({})).await.0, 200);
    }
    let Tally { served, limited, unauthorized, failed, .. } = server.tally("key").unwrap();
    assert_eq!((served, limited, unauthorized, failed), (7, 4, 2, 8));
    server.fail_next("key", Fault::Failed, u64::MAX);
    assert_eq!(ask(&server, "key", json!({})).await.0, 500);
    server.fail_next("key", Fault::Failed, 0);
    assert_eq!(ask(&server, "key", json!({})).await.0, 200);
}

#[tokio::test]
async fn a_stream_can_break_off_with_an_event() {
    let server = start(Plan::per_minute(1_000, 1_000_000)).await;
    server.fail_next("key", Fault::ErrorEvent, 1);
    let (status, response) = ask(&server, "key", json!({"stream": true})).await;
    let events: Vec<_> = response.body().split_terminator("\n\n").collect();
    assert_eq!((status, events.len()), (200, 4));
    assert!(events[3].contains(r#""type":"overloaded_error""#));
    // The prompt and three words were used.
    assert_eq!(server.tally("key").unwrap().tokens, 5);
}

#[tokio::test]
async fn unknown_and_revoked_keys_and_odd_requests_are_told_apart() {
    let server = start(slow()).await;
    assert_eq!(ask(&server, "other", json!({})).await.0, 401);
    assert_eq!(ask(&server, "key", json!({"messages": null})).await.0, 400);
    server.revoke("key");
    let (status, response) = ask(&server, "key", json!({})).await;
    assert_eq!((status, response.headers().get("x-ratelimit-limit-requests")), (401, None));
}

#[tokio::test]
async fn a_closed_key_is_refused_whatever_is_left() {
    let server = start(slow().dialect(Dialect::Mistral)).await;
    server.close_for("key", Duration::from_secs(3_600));
    let (status, response) = ask(&server, "key", json!({})).await;
    assert_eq!((status, header(&response, "retry-after")), (429, "3600"));
    assert_eq!(header(&response, "x-ratelimit-remaining-req-minute"), "3");
}
