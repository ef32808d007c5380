//! Kind `grpc`: what a gRPC client is told, read by tonic.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tollgate_http::respond::{LimitTexts, Refusal, Shown};
use tonic_types::StatusExt as _;

use crate::{Checked, same};

pub(crate) fn check(input: &Value, expect: &Value) -> Checked {
    let status = input["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    let status = status.expect("status");
    let wait = input["retry_after_ms"].as_u64().map(Duration::from_millis);
    let quota = "10/min".parse().expect("a quota");
    let texts = LimitTexts::new("calls", quota).expect("a limited quota");
    let refused_by = [Shown {
        texts: &texts,
        remaining: 0,
        full_after: Duration::ZERO,
        next_after: Duration::ZERO,
        refused: Some(wait),
    }];
    let of_status = StatusCode::from_u16(status).expect("a status");
    let refusal = match (status, wait) {
        (403, _) if input["blocked"] == true => Refusal::blocked(),
        (403, _) => Refusal::missing_key(),
        (400, _) => Refusal::ambiguous_path(),
        (500, _) => Refusal::no_peer(),
        // Refused for a time that is not known.
        (_, None) if input["never"] != true => Refusal::limits(of_status, &[]),
        _ => Refusal::limits(of_status, &refused_by),
    };
    let mut headers = HeaderMap::new();
    refusal.write_grpc(&mut headers);
    let status = tonic::Status::from_header_map(&headers).ok_or("there is no gRPC status")?;
    // The status of the response itself is 200 by definition.
    same("http_status", &json!(200), &expect["http_status"])?;
    same("grpc_status", &json!(i32::from(status.code())), &expect["grpc_status"])?;
    let pushback = headers.get("grpc-retry-pushback-ms").map(|field| {
        field.to_str().ok().and_then(|text| text.parse::<i64>().ok()).expect("an integer")
    });
    same("pushback_ms", &json!(pushback), &expect["pushback_ms"])?;
    let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let delay = delay.map(|delay| u64::try_from(delay.as_millis()).expect("small"));
    same("retry_info_ms", &json!(delay), &expect["retry_info_ms"])
}
