//! The levels of one subject.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tollgate_http::Facts;
use tollgate_http::engine::ParseHashedError;

use super::Admin;
use crate::web::{Asked, Problem, bad_query, millis, parse_address};

/// Whose levels: exactly one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    user: Option<String>,
    api_key_hash: Option<String>,
    address: Option<String>,
}

/// The levels of one subject.
#[derive(Serialize)]
pub(super) struct Status {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    penalty_rest_ms: Option<u64>,
    /// The longest wait of a limit that refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    limits: Vec<Level>,
}

#[derive(Serialize)]
struct Level {
    name: String,
    quota: String,
    /// The hash of the bucket's key, as violations and penalties show it.
    key_hash: String,
    remaining: Option<u64>,
    reset_after_ms: u64,
    /// Whether a request that costs one permit would be refused, or noted by a shadow limit.
    refuses: bool,
    shadow: bool,
}

pub(super) async fn status(
    State(admin): State<Admin>,
    Asked(subject): Asked<Subject>,
) -> Result<Json<Status>, Problem> {
    let facts = Facts::new("", "");
    let facts = match (&subject.user, &subject.api_key_hash, &subject.address) {
        (Some(user), None, None) if !user.is_empty() => facts.user(user.as_str()),
        (None, Some(hash), None) => {
            let hash = hash.parse();
            facts.api_key_hash(hash.map_err(|_: ParseHashedError| {
                bad_query("`api_key_hash` is not a hash as violations show it")
            })?)
        }
        (None, None, Some(address)) => facts.peer(parse_address(address).map_err(bad_query)?),
        _ => {
            let detail = "write one of `?user=`, `?api_key_hash=` and `?address=`";
            return Err(bad_query(detail));
        }
    };
    let levels = admin.0.limiter.levels(&facts).await;
    let is_penalty = levels.outcome() == tollgate_http::Outcome::Penalty;
    let wait = levels.retry_after().map(millis);
    let limits = levels.limits().map(|limit| Level {
        name: limit.name().to_owned(),
        quota: limit.quota_text().to_owned(),
        key_hash: admin.0.limiter.hash_of_key(limit.key()).to_string(),
        // A store in an outage may answer as if nothing had been used.
        remaining: Some(limit.remaining().min(limit.quota().burst_size()))
            .filter(|remaining| *remaining != u64::MAX),
        reset_after_ms: millis(limit.reset_after()),
        refuses: limit.refuses(),
        shadow: limit.is_shadow(),
    });
    Ok(Json(Status {
        outcome: levels.outcome().as_str(),
        tier: levels.tier().map(str::to_owned),
        penalty_rest_ms: wait.filter(|_| is_penalty),
        retry_after_ms: wait.filter(|_| !is_penalty),
        limits: limits.collect(),
    }))
}
