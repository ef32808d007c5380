//! What a check answers.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Serialize, Serializer};
use tollgate::Quota;
use tollgate_http::engine::LimitReport;
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
    limits: Limits<'a>,
    /// The fields to add to the answer to the client.
    headers: Fields<'a>,
    /// The body of the answer to the client, if the request is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// To be sent to `/v1/report` with the status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
}

/// What the limits of a request have answered.
pub(super) struct Limits<'a>(pub(super) &'a Decision);

impl Serialize for Limits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.limits().map(LimitAnswer::from))
    }
}

/// What one limit has answered.
#[derive(Serialize)]
struct LimitAnswer<'a> {
    name: &'a str,
    #[serde(serialize_with = "as_text")]
    quota: Quota,
    cost: u64,
    remaining: u64,
    reset_after_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    refuses: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shadow: bool,
}

impl<'a> From<LimitReport<'a>> for LimitAnswer<'a> {
    fn from(limit: LimitReport<'a>) -> Self {
        Self {
            name: limit.name(),
            quota: limit.quota(),
            cost: limit.cost(),
            remaining: limit.remaining(),
            reset_after_ms: millis(limit.reset_after()),
            retry_after_ms: limit.retry_after().map(millis),
            refuses: limit.refuses(),
            shadow: limit.is_shadow(),
        }
    }
}

/// Writes a quota as it is written in policies.
fn as_text<S: Serializer>(quota: &Quota, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(quota)
}

/// Fields of an answer, each with its first value.
struct Fields<'a>(&'a HeaderMap);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.keys().filter_map(|name| {
            let value = self.0.get(name)?.to_str().ok()?;
            Some((name.as_str(), value))
        });
        serializer.collect_map(fields)
    }
}

/// As long as most answers are at most: so the text of an answer seldom moves while it is written.
const USUAL_LENGTH: usize = 1 << 10;

/// The answer to a check: the decision as JSON, with the status and the fields that the request
/// itself would be answered with.
pub(super) fn check(limiter: &HttpLimiter, decision: &Decision, report: Option<u64>) -> Response {
    let (status, mut headers, body) = told(limiter, decision);
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    let answer = CheckAnswer {
        allowed: decision.is_allowed(),
        outcome: decision.outcome().as_str(),
        status: decision.status(),
        retry_after_ms: decision.retry_after().map(millis),
        route: decision.route(),
        tier: decision.tier(),
        limits: Limits(decision),
        headers: Fields(&headers),
        body: std::str::from_utf8(&body).ok().filter(|body| !body.is_empty()),
        report: report.map(|number| format!("{number:016x}")),
    };
    // A vector takes every byte, and no value of the answer fails to be written.
    let _ = serde_json::to_writer(&mut text, &answer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response(status, headers, text)
}

/// An answer. (`into_response` of its parts would insert each field anew.)
pub(super) fn response(status: StatusCode, headers: HeaderMap, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
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
