//! What a check answers.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use tollgate_http::respond::JsonText;
use tollgate_http::{Decision, HttpLimiter};

use crate::web::millis;

/// As long as most answers are at most: so the text of an answer seldom moves while it is written.
const USUAL_LENGTH: usize = 1 << 10;

/// The answer to a check: the decision as JSON, with the status and the fields that the request
/// itself would be answered with.
pub(super) fn check(limiter: &HttpLimiter, decision: &Decision, report: Option<u64>) -> Response {
    let (status, mut headers, body) = told(limiter, decision);
    let mut json = JsonText::with_capacity(USUAL_LENGTH);
    // Whether the request goes on.
    json.raw("{\"allowed\":");
    json.boolean(decision.is_allowed());
    json.raw(",\"outcome\":");
    json.plain(decision.outcome().as_str());
    // The status with which the request is refused.
    if let Some(status) = decision.status() {
        json.raw(",\"status\":");
        json.number(status.into());
    }
    if let Some(wait) = decision.retry_after() {
        json.raw(",\"retry_after_ms\":");
        json.number(millis(wait));
    }
    if let Some(route) = decision.route() {
        json.raw(",\"route\":");
        json.string(route);
    }
    if let Some(tier) = decision.tier() {
        json.raw(",\"tier\":");
        json.string(tier);
    }
    json.raw(",\"limits\":");
    limits(&mut json, decision);
    // The fields to add to the answer to the client.
    json.raw(",\"headers\":");
    fields(&mut json, &headers);
    // The body of the answer to the client, if the request is refused.
    if let Some(body) = std::str::from_utf8(&body).ok().filter(|body| !body.is_empty()) {
        json.raw(",\"body\":");
        json.string(body);
    }
    // To be sent to `/v1/report` with the status of the answer.
    if let Some(report) = report {
        json.raw(",\"report\":");
        json.plain(&format!("{report:016x}"));
    }
    json.raw("}");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response(status, headers, json.into_string())
}

/// The answer to a report: what is left after it.
pub(super) fn report(decision: &Decision) -> Response {
    let mut json = JsonText::with_capacity(USUAL_LENGTH);
    json.raw("{\"limits\":");
    limits(&mut json, decision);
    json.raw("}");
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response(StatusCode::OK, headers, json.into_string())
}

/// The array of what each limit of a request has answered.
fn limits(json: &mut JsonText, decision: &Decision) {
    json.raw("[");
    for (index, limit) in decision.limits().enumerate() {
        json.raw(if index == 0 { "{\"name\":" } else { ",{\"name\":" });
        json.string(limit.name());
        json.raw(",\"quota\":");
        json.string(limit.quota_text());
        json.raw(",\"cost\":");
        json.number(limit.cost());
        json.raw(",\"remaining\":");
        json.number(limit.remaining());
        json.raw(",\"reset_after_ms\":");
        json.number(millis(limit.reset_after()));
        if let Some(wait) = limit.retry_after() {
            json.raw(",\"retry_after_ms\":");
            json.number(millis(wait));
        }
        json.raw(if limit.refuses() { ",\"refuses\":true" } else { ",\"refuses\":false" });
        json.raw(if limit.is_shadow() { ",\"shadow\":true}" } else { "}" });
    }
    json.raw("]");
}

/// The object of the fields of an answer.
fn fields(json: &mut JsonText, headers: &HeaderMap) {
    let mut before = "{";
    for (name, value) in headers {
        // No field of ours is there twice, and all are text.
        let Ok(value) = value.to_str() else { continue };
        json.raw(before);
        json.plain(name.as_str());
        json.raw(":");
        json.string(value);
        before = ",";
    }
    json.raw(if before == "{" { "{}" } else { "}" });
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
    // Room for those of an answer to a check too, which has two more.
    let mut headers = HeaderMap::with_capacity(8);
    limiter.write_fields(decision, &mut headers);
    (StatusCode::OK, headers, Bytes::new())
}
