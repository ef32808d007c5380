//! What a check answers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use tollgate_http::{Decision, HttpLimiter};

/// The answer to a check.
#[derive(Serialize)]
struct CheckAnswer<'a> {
    /// Whether the request goes on.
    allowed: bool,
    outcome: &'static str,
    /// The status with which the request is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
    limits: Vec<LimitAnswer>,
    /// The fields to add to the answer to the client.
    headers: BTreeMap<&'a str, &'a str>,
    /// The body of the answer to the client, if the request is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// To be sent to `/v1/report` with the status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
}

/// What one limit has answered.
#[derive(Serialize)]
pub(super) struct LimitAnswer {
    name: String,
    quota: String,
    cost: u64,
    remaining: u64,
    reset_after_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    refuses: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
}

/// What the limits of a request have answered.
pub(super) fn limits(decision: &Decision) -> Vec<LimitAnswer> {
    let answer = |limit: tollgate_http::engine::LimitReport<'_>| LimitAnswer {
        name: limit.name().to_owned(),
        quota: limit.quota().to_string(),
        cost: limit.cost(),
        remaining: limit.remaining(),
        reset_after_ms: millis(limit.reset_after()),
        retry_after_ms: limit.retry_after().map(millis),
        refuses: limit.refuses(),
        shadow: limit.is_shadow(),
    };
    decision.limits().map(answer).collect()
}

/// The answer to a check: the decision as JSON, with the status and the fields that the request
/// itself would be answered with.
pub(super) fn check(limiter: &HttpLimiter, decision: &Decision, report: Option<u64>) -> Response {
    let (status, mut headers, body) = told(limiter, decision);
    let text = {
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let answer = CheckAnswer {
            allowed: decision.is_allowed(),
            outcome: decision.outcome().as_str(),
            status: decision.status(),
            retry_after_ms: decision.retry_after().map(millis),
            route: decision.route(),
            tier: decision.tier(),
            limits: limits(decision),
            headers,
            body: std::str::from_utf8(&body).ok().filter(|body| !body.is_empty()),
            report: report.map(|number| format!("{number:016x}")),
        };
        serde_json::to_vec(&answer).unwrap_or_default()
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, headers, text).into_response()
}

/// The answer of the request itself: what a proxy passes on to its client.
pub(super) fn told(limiter: &HttpLimiter, decision: &Decision) -> (StatusCode, HeaderMap, Bytes) {
    if let Some(refusal) = limiter.refusal(decision) {
        let (parts, body) = refusal.into_parts();
        return (parts.status, parts.headers, body);
    }
    let mut headers = HeaderMap::new();
    limiter.write_fields(decision, &mut headers);
    (StatusCode::OK, headers, Bytes::new())
}

/// Milliseconds, rounded up, so that whoever waits for so long is not early.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
