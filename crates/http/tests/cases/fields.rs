//! Kind `fields`: the header fields of a response.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tollgate::Quota;
use tollgate_http::policy::{Dialect, ResetForm};
use tollgate_http::respond::{Fields, LimitTexts, Refusal, Shown};

use crate::{Checked, same, word};

pub(crate) fn check(input: &Value, expect: &Value) -> Checked {
    let limits = input["limits"].as_array().expect("limits");
    let limits: Vec<&Value> = limits.iter().filter(|limit| limit["shadow"] != true).collect();
    let quota = |limit: &Value| word(&limit["quota"]).parse::<Quota>().expect("a quota");
    let texts = |limit: &&Value| LimitTexts::new(word(&limit["name"]), quota(limit));
    let texts: Vec<LimitTexts> =
        limits.iter().map(|limit| texts(limit).expect("a limited quota")).collect();
    let shown: Vec<Shown<'_>> =
        limits.iter().zip(&texts).map(|(limit, texts)| shown(limit, texts)).collect();
    let dialects: Vec<Dialect> = match input["headers"].as_array() {
        Some(names) => names.iter().map(|name| dialect(word(name))).collect(),
        None => vec![Dialect::RateLimit, Dialect::XRateLimit],
    };
    let reset = match input["x_ratelimit_reset"].as_str() {
        Some("epoch") => ResetForm::Epoch,
        _ => ResetForm::Seconds,
    };
    let now = UNIX_EPOCH + millis(&input["now_epoch_ms"]).expect("now_epoch_ms");

    let mut headers = HeaderMap::new();
    Fields::new(&dialects, reset).write(&mut headers, &shown, None, || now);
    if shown.iter().any(|limit| limit.refused.is_some()) {
        Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &shown).write(&mut headers);
    }
    // The cases are about the fields that tell of limits.
    headers.remove("cache-control");
    let found: BTreeMap<&str, &str> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().expect("visible ASCII")))
        .collect();
    let expected = expect["headers"].as_object().expect("headers").iter();
    let expected = expected.map(|(name, value)| (name.as_str(), word(value))).collect();
    same("fields", &found, &expected)
}

fn shown<'a>(limit: &Value, texts: &'a LimitTexts) -> Shown<'a> {
    Shown {
        texts,
        remaining: limit["remaining"].as_u64().expect("remaining"),
        full_after: millis(&limit["full_after_ms"]).expect("full_after_ms"),
        next_after: millis(&limit["next_after_ms"]).unwrap_or_default(),
        // The wait is `null` if no wait helps.
        refused: limit.get("retry_after_ms").map(millis),
    }
}

fn millis(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}

fn dialect(name: &str) -> Dialect {
    match name {
        "ratelimit" => Dialect::RateLimit,
        "x-ratelimit" => Dialect::XRateLimit,
        "ratelimit-07" => Dialect::RateLimit07,
        other => panic!("no dialect {other}"),
    }
}
