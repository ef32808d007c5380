//! The usage of limits at one moment.

use std::time::Duration;

use super::LimitKind;

/// The usage of all limits of a key at one moment.
///
/// ```
/// use tollgate::llm::{LimitKind, Period, Limiter};
/// let model = Limiter::builder().requests_per_minute(10).build()?;
/// let requests = model.usage().of(LimitKind::Requests(Period::MINUTE));
/// assert_eq!(requests.map(|it| it.remaining), Some(10));
/// assert_eq!(model.usage().of(LimitKind::Tokens(Period::MINUTE)), None); // not limited
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The limits in force, at most one of each kind.
    pub limits: Vec<LimitUsage>,
    /// Requests in flight, of all keys that share the account.
    pub in_flight: u64,
    /// The most requests that may be in flight at once; `None` if that is not limited.
    pub max_in_flight: Option<u64>,
    /// The remaining pause that the server asked for, if any.
    pub paused_for: Option<Duration>,
    /// Requests in the queue; for a key of a pool, in the queue of the whole pool.
    pub waiting: usize,
}

/// The usage of one limit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitUsage {
    /// Which limit this is.
    pub kind: LimitKind,
    /// The most that can be taken at once.
    pub limit: u64,
    /// Requests or tokens in use, including the estimates of requests in flight. More than `limit`
    /// is debt.
    pub used: u64,
    /// The most that could be taken now.
    pub remaining: u64,
    /// The time until nothing is in use any more, if nothing more is taken.
    pub reset_after: Duration,
}

impl Usage {
    /// The usage of one limit; `None` if that kind is not limited.
    #[must_use]
    pub fn of(&self, kind: LimitKind) -> Option<LimitUsage> {
        self.limits.iter().find(|limit| limit.kind == kind).copied()
    }
}
