//! The case file: kinds `fields` and `grpc`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tollgate_http::policy::{Dialect, ResetForm};

use crate::{BOTH, State, answer, at};

const CASES: &str = include_str!("../data/cases.json");

#[test]
fn fields_are_those_of_the_case_file() {
    assert!(run(CASES, "fields", check_fields) > 0);
}

#[cfg(feature = "grpc")]
#[test]
fn grpc_statuses_are_those_of_the_case_file() {
    assert!(run(CASES, "grpc", crate::grpc::check_case) > 0);
}

/// Checks all cases of one kind in the text of a case file, and says how many there were. `check`
/// gets a case's input and what is expected.
pub(crate) fn run(file: &str, kind: &str, check: fn(&str, &Value, &Value)) -> usize {
    let file: Value = serde_json::from_str(file).expect("JSON");
    assert_eq!(file["schema"], 1);
    let cases = file["cases"].as_array().expect("cases");
    let of_kind = cases.iter().filter(|case| case["kind"] == kind);
    of_kind
        .map(|case| check(case["id"].as_str().expect("id"), &case["input"], &case["expect"]))
        .count()
}

fn check_fields(id: &str, input: &Value, expect: &Value) {
    let limits: Vec<State> = input["limits"]
        .as_array()
        .expect("limits")
        .iter()
        .filter(|limit| limit["shadow"] != true)
        .map(state)
        .collect();
    let dialects = input["headers"].as_array().map_or(BOTH.to_vec(), |names| {
        names.iter().map(|name| dialect(name.as_str().expect("a dialect"))).collect()
    });
    let reset = match input["x_ratelimit_reset"].as_str() {
        Some("epoch") => ResetForm::Epoch,
        _ => ResetForm::Seconds,
    };
    let now = at(input["now_epoch_ms"].as_u64().expect("now_epoch_ms"));

    let mut headers = answer(&limits, &dialects, reset, now);
    // The cases are about the fields that tell of limits.
    headers.remove("cache-control");
    let fields: BTreeMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("visible ASCII")))
        .collect();
    let expected: BTreeMap<&str, &str> = expect["headers"]
        .as_object()
        .expect("headers")
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().expect("a text")))
        .collect();
    assert_eq!(fields, expected, "case {id}");
}

fn state(limit: &Value) -> State {
    let word = |key: &str| limit[key].as_str().expect("a text");
    let number = |key: &str| limit[key].as_u64().expect("a number");
    let mut state = State::parsed(word("name"), word("quota"))
        .left(number("remaining"), number("full_after_ms"));
    if let Some(next) = limit["next_after_ms"].as_u64() {
        state.next_after = Duration::from_millis(next);
    }
    if let Some(wait) = limit.get("retry_after_ms") {
        state = state.refused(wait.as_u64().map(Duration::from_millis));
    }
    state
}

fn dialect(name: &str) -> Dialect {
    match name {
        "ratelimit" => Dialect::RateLimit,
        "x-ratelimit" => Dialect::XRateLimit,
        "ratelimit-07" => Dialect::RateLimit07,
        other => panic!("no dialect {other}"),
    }
}
