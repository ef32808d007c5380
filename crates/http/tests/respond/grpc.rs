//! gRPC statuses, read by tonic.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use tollgate_http::respond::{Refusal, is_grpc};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::{State, shown, text};

fn written(refusal: &Refusal<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    refusal.write_grpc(&mut headers);
    headers
}

/// A refusal by one limit, with an HTTP status.
fn by_limit(status: u16, wait: Option<Duration>) -> HeaderMap {
    let limits = [State::parsed("calls", "10/min").refused(wait)];
    let status = StatusCode::from_u16(status).expect("a status");
    written(&Refusal::limits(status, &shown(&limits)))
}

/// `grpc-retry-pushback-ms`, as grpc-go reads it: an integer; a negative one forbids a retry.
fn pushback(headers: &HeaderMap) -> Option<i64> {
    let field = headers.get("grpc-retry-pushback-ms")?;
    Some(field.to_str().expect("ASCII").parse().expect("an integer"))
}

fn status(headers: &HeaderMap) -> tonic::Status {
    tonic::Status::from_header_map(headers).expect("a gRPC status")
}

fn retry_delay(headers: &HeaderMap) -> Option<Duration> {
    status(headers).get_details_retry_info()?.retry_delay
}

#[test]
fn codes() {
    for (headers, code) in [
        (by_limit(429, Some(Duration::ZERO)), Code::ResourceExhausted),
        (by_limit(503, Some(Duration::ZERO)), Code::Unavailable),
        (written(&Refusal::penalty(Duration::ZERO)), Code::ResourceExhausted),
        (written(&Refusal::full("calls")), Code::Unavailable),
        (written(&Refusal::blocked()), Code::PermissionDenied),
        (written(&Refusal::missing_key()), Code::PermissionDenied),
        (written(&Refusal::ambiguous_path()), Code::InvalidArgument),
        (written(&Refusal::no_peer()), Code::Internal),
    ] {
        assert_eq!(status(&headers).code(), code);
        assert_eq!(text(&headers, "content-type"), "application/grpc");
    }
}

#[test]
fn the_message_is_the_same_in_the_details() {
    let headers = by_limit(429, Some(Duration::from_millis(1_500)));
    let message = "The request exceeds a rate limit (calls). Retry in 2 seconds.";
    assert_eq!(status(&headers).message(), message);
    let details = status(&headers).get_error_details();
    assert_eq!(details.retry_info().expect("it").retry_delay, Some(Duration::from_millis(1_500)));
    assert!(!text(&headers, "grpc-status-details-bin").ends_with('='), "gRPC writes no padding");
}

#[test]
fn any_name_is_told_in_the_message() {
    let name = "100% \u{1}\u{7f} ä\n";
    let headers = written(&Refusal::full(name));
    assert!(status(&headers).message().contains(name));
    assert!(text(&headers, "grpc-message").contains("100%25 %01%7F %C3%A4%0A"));
}

#[test]
fn what_can_never_pass_forbids_a_retry() {
    let headers = by_limit(429, None);
    assert_eq!(pushback(&headers), Some(-1));
    assert_eq!(retry_delay(&headers), None);
}

#[test]
fn content_types() {
    let grpc = |content_type: &str| {
        let value = HeaderValue::from_str(content_type).expect("a value");
        is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
    };
    assert!(!is_grpc(&HeaderMap::new()));
    // The first eight are those of Envoy's test of `hasGrpcContentType`.
    for (content_type, expected) in [
        ("", false),
        ("application/text", false),
        ("application/grpc", true),
        ("application/grpc+", true),
        ("application/grpc+foo", true),
        ("application/grpc-", false),
        ("application/grpc-web", false),
        ("application/grpc-web+foo", false),
        ("application/grpc-web-text", false),
        ("application/grpc;charset=utf-8", true),
        ("Application/gRPC+proto", true),
        ("application/grp", false),
        ("application/grpcx", false),
    ] {
        assert_eq!(grpc(content_type), expected, "{content_type}");
    }
}

proptest! {
    #[test]
    fn no_wait_is_early_or_panics(wait in crate::properties::duration()) {
        let headers = written(&Refusal::penalty(wait));
        let pushback = u64::try_from(pushback(&headers).expect("a wait")).expect("not negative");
        let longest = Duration::from_millis(999_999_999_999_999);
        prop_assert!(Duration::from_millis(pushback) >= wait.min(longest));
        let ten_thousand_years = Duration::from_secs(315_576_000_000);
        prop_assert_eq!(retry_delay(&headers), Some(wait.min(ten_thousand_years)));
    }
}
