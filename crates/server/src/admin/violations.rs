//! The last refusals.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tollgate_http::Violation;

use super::Admin;
use crate::web::Asked;

/// How many are kept.
const MOST: usize = 1_000;

/// The last refusals; a clone is the same list.
#[derive(Clone, Debug, Default)]
pub struct Violations(Arc<Mutex<VecDeque<Violation>>>);

impl Violations {
    /// Notes a refusal. The oldest is dropped if there are 1,000.
    pub fn add(&self, violation: Violation) {
        let mut kept = self.0.lock();
        if kept.len() >= MOST {
            kept.pop_front();
        }
        kept.push_back(violation);
    }

    /// The last `n`, the newest first.
    #[must_use]
    pub fn last(&self, n: usize) -> Vec<Violation> {
        self.0.lock().iter().rev().take(n).cloned().collect()
    }
}

/// Which violations are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// How many, the newest first.
    n: Option<usize>,
}

/// What is told of violations.
#[derive(Serialize)]
pub(super) struct Told {
    violations: Vec<ViolationTold>,
    /// How many were not kept, because too many came at once.
    dropped: u64,
}

#[derive(Serialize)]
struct ViolationTold {
    time: String,
    limits: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<String>,
    key_kind: String,
    key_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_ms: Option<u64>,
    penalty: bool,
}

impl From<&Violation> for ViolationTold {
    fn from(violation: &Violation) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            time: humantime::format_rfc3339_millis(violation.time()).to_string(),
            limits: violation.limits().map(str::to_owned).collect(),
            route: owned(violation.route()),
            tier: owned(violation.tier()),
            key_kind: violation.key_kind().to_owned(),
            key_hash: violation.key_hash().to_string(),
            key: violation.key().map(ToString::to_string),
            wait_ms: violation.wait().and_then(|wait| wait.as_millis().try_into().ok()),
            penalty: violation.is_penalty(),
        }
    }
}

pub(super) async fn list(State(admin): State<Admin>, Asked(which): Asked<Which>) -> Json<Told> {
    let last = admin.0.violations.last(which.n.unwrap_or(100));
    let dropped = admin.0.limiter.violation_counts().dropped;
    Json(Told { violations: last.iter().map(ViolationTold::from).collect(), dropped })
}
