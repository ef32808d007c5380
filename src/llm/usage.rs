//! A look at LLM limits.

use std::time::Duration;

use super::LimitKind;

/// All limits of a key at one moment.
///
/// ```
/// use tollgate::llm::{LimitKind, Limiter};
/// let model = Limiter::builder().requests_per_minute(10).build()?;
/// assert_eq!(model.usage().of(LimitKind::Requests).map(|requests| requests.remaining), Some(10));
/// assert_eq!(model.usage().of(LimitKind::Tokens), None); // not limited
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Each limit there is.
    pub limits: Vec<LimitUsage>,
    /// Requests that are out now.
    pub in_flight: u64,
    /// How many may be out at a time.
    pub max_in_flight: Option<u64>,
    /// How long the server said to wait yet, if it did.
    pub paused_for: Option<Duration>,
    /// How many wait.
    pub waiting: usize,
}

/// One limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitUsage {
    /// Which.
    pub kind: LimitKind,
    /// The most that can be taken at once.
    pub limit: u64,
    /// In use, estimates of requests in flight among it; more than `limit` is debt.
    pub used: u64,
    /// What could be taken now.
    pub remaining: u64,
    /// How long until nothing is used any more.
    pub reset_after: Duration,
}

impl Usage {
    /// One limit; `None` if there is no such.
    #[must_use]
    pub fn of(&self, kind: LimitKind) -> Option<LimitUsage> {
        self.limits.iter().find(|limit| limit.kind == kind).copied()
    }
}
