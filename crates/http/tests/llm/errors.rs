//! What errors amount to: recorded ones, and those that are made to be confusing.

use std::time::Duration;

use http::StatusCode;
use proptest::prelude::*;
use serde_json::Value;
use tollgate_http::llm::{AnswerReader, ErrorBody};

use super::data;

#[test]
fn recorded_errors() {
    let errors = data::errors();
    assert!(errors.len() > 80, "only {} errors", errors.len());
    for error in errors {
        let number = |name: &str| error.fields[name].as_u64();
        let status = u16::try_from(number("status").expect("a status")).expect("a status");
        let read =
            ErrorBody::read(StatusCode::from_u16(status).expect("valid"), error.body.as_bytes());
        let told = (Some(u64::from(read.status.as_u16())), read.wait);
        let right = (number("right"), number("wait_ns").map(Duration::from_nanos));
        assert_eq!(told, right, "{}: {status} {}", error.provider, error.body);
    }
}

/// An error inside of an answer with the status 200 is read by another way, and means the same.
#[test]
fn recorded_errors_inside_of_an_answer() {
    let mut seen = 0;
    for error in data::errors() {
        let Ok(Value::Object(object)) = serde_json::from_str::<Value>(&error.body) else {
            continue;
        };
        if !object.contains_key("error") && object.get("type") != Some(&"error".into()) {
            continue;
        }
        // A wait beside `error` is read of bodies only.
        if object.contains_key("estimated_time") {
            continue;
        }
        let right = ErrorBody::read(StatusCode::OK, error.body.as_bytes());
        for body in [error.body.clone(), format!("data: {}\n\n", error.body.replace('\n', " "))] {
            let mut reader = AnswerReader::new();
            reader.feed(body.as_bytes());
            assert_eq!(reader.error(), Some(right), "{}", error.body);
        }
        seen += 1;
    }
    assert!(seen > 50, "only {seen} errors");
}

#[test]
fn waits_in_fields() {
    for (body, wait) in [
        (r#"{"error":{"retry_after":7.5}}"#, Some(7_500)),
        (r#"{"error":{"retryAfter":"7"}}"#, Some(7_000)),
        (r#"{"error":{"retry_after_ms":250}}"#, Some(250)),
        (r#"{"details":[{"retryDelay":"34.07s"}]}"#, Some(34_070)),
        (r#"{"details":[{"retryDelay":"1m2.5s"}]}"#, Some(62_500)),
        (r#"{"details":[{"retryDelay":{"seconds":"3"}}]}"#, Some(3_000)),
        (r#"{"headers":{"Retry-After":"20"}}"#, Some(20_000)),
        // The longest counts.
        (r#"{"message":"retry in 3s","retry_after":2}"#, Some(3_000)),
        // No waits.
        (r#"{"retry_after":0}"#, None),
        (r#"{"retry_after":-3}"#, None),
        (r#"{"retry_after":1e300}"#, None),
        (r#"{"retry_after":1786553400}"#, None),
        (r#"{"retry_after":"Thu, 13 Aug 2026 15:37:13 GMT"}"#, None),
        (r#"{"retry_after":null,"retryDelay":[]}"#, None),
        (r#"{"input":{"retry_after":7}}"#, None),
    ] {
        let error = ErrorBody::read(StatusCode::TOO_MANY_REQUESTS, body.as_bytes());
        assert_eq!(error.wait, wait.map(Duration::from_millis), "{body}");
    }
}

#[test]
fn a_body_is_read_up_to_a_bound() {
    let padding = "x".repeat(70_000);
    let body = format!(r#"{{"padding":"{padding}","error":{{"code":"insufficient_quota"}}}}"#);
    let error = ErrorBody::read(StatusCode::BAD_REQUEST, body.as_bytes());
    assert_eq!(error.status, StatusCode::BAD_REQUEST);
    for open in ["[", "{\"error\":", "{\"message\":\"{"] {
        let deep = open.repeat(20_000);
        let error = ErrorBody::read(StatusCode::BAD_GATEWAY, deep.as_bytes());
        assert_eq!(error.status, StatusCode::BAD_GATEWAY);
    }
    let many = r#"{"error":{"code":"rate_limit_error","message":"retry in 1s"}},"#.repeat(1_000);
    let error = ErrorBody::read(StatusCode::BAD_REQUEST, format!("[{many}0]").as_bytes());
    assert_eq!(error.status, StatusCode::TOO_MANY_REQUESTS);
}

proptest! {
    #[test]
    fn no_body_makes_a_success(
        status in 100_u16..1_000,
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let error = ErrorBody::read(StatusCode::from_u16(status).expect("valid"), &body);
        prop_assert!(error.status.is_client_error() || error.status.is_server_error());
    }

    #[test]
    fn no_json_makes_a_success(words in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"error\"", "\"code\"", "\"message\"", "\"retryDelay\"", "429",
        "\"34s\"", "\"insufficient_quota\"", "\"200\"", "200", "null", "\"details\"", "1e999",
    ]), 0..40)) {
        let error = ErrorBody::read(StatusCode::OK, words.concat().as_bytes());
        prop_assert!(error.status.is_client_error() || error.status.is_server_error());
    }
}
