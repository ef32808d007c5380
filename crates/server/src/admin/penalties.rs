//! Who is in a penalty.

use std::cmp::Reverse;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;
use tollgate_http::HttpLimiter;
use tollgate_http::engine::Key;

use super::Admin;
use crate::web::Problem;

/// The callers that are in a penalty.
#[derive(Serialize)]
pub(super) struct Penalties {
    penalties: Vec<Penalty>,
}

#[derive(Serialize)]
struct Penalty {
    key_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    rest_ms: u64,
}

/// The callers that are in a penalty, the longest first.
pub(super) fn longest_first(limiter: &HttpLimiter) -> Vec<(Key, Duration)> {
    let mut listed = limiter.penalties();
    listed.sort_by_key(|(_, rest)| Reverse(*rest));
    listed
}

pub(super) async fn list(State(admin): State<Admin>) -> Json<Penalties> {
    let limiter = &admin.0.limiter;
    let listed = longest_first(limiter);
    let penalties = listed.iter().map(|(key, rest)| Penalty {
        key_hash: limiter.hash_of_key(key).to_string(),
        key: admin.0.show_keys.then(|| key.to_string()),
        rest_ms: rest.as_millis().try_into().unwrap_or(u64::MAX),
    });
    Json(Penalties { penalties: penalties.collect() })
}

/// Ends the penalty of the caller with this hash, or with this key, such as `user alice`.
pub(super) async fn lift(
    State(admin): State<Admin>,
    Path(named): Path<String>,
) -> Result<StatusCode, Problem> {
    let limiter = &admin.0.limiter;
    let is_meant =
        |key: &Key| limiter.hash_of_key(key).to_string() == named || key.to_string() == named;
    let found = limiter.penalties().into_iter().find(|(key, _)| is_meant(key));
    if found.is_some_and(|(key, _)| limiter.lift_penalty(&key)) {
        tracing::info!("a penalty was lifted by an operator");
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::new(404, "Nobody with this key is in a penalty", ""))
}
