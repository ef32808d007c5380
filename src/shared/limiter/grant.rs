//! The answers of a shared limiter, as plain values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::Cost;
use crate::shared::Source;
use crate::shared::store::Receipt;
use crate::{Quota, Rejection};

/// The permits that were granted, and how many are left.
///
/// With several limits, the numbers are those of the limit with the smallest share left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The permits of that limit that were taken.
    pub permits: u64,
    /// The whole permits that are left.
    pub remaining: u64,
    /// The most permits that can be taken at once (the burst); of the
    /// [local share](Source::LocalShare), its burst.
    pub limit: u64,
    /// The time from now on until no permit is in use any more (the bucket is full).
    pub reset_after: Duration,
    /// Who decided.
    pub source: Source,
    /// What was taken, and the receipt of each limit.
    pub(super) taken: Cost,
    pub(super) receipts: SmallVec<[Receipt; 2]>,
    /// When the lease expires that the permits are from.
    pub(super) lease: Option<Instant>,
}

/// Displays the grant for a log: `1 granted, 4 of 5 left (shared)`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { permits, remaining, limit, source, .. } = self;
        write!(f, "{permits} granted, {remaining} of {limit} left ({source})")
    }
}

/// Why a request was refused, and who refused it.
// Not by `thiserror`, for which a field `source` is an error's cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Refused {
    /// Why. [`Rejection::Unavailable`] means that the store does not answer.
    pub rejection: Rejection,
    /// Who decided.
    pub source: Source,
}

impl Refused {
    /// The time until the same request can pass, if that is known; see
    /// [`Rejection::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.rejection.retry_after()
    }
}

/// Displays why.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Rejection {
    fn from(refused: Refused) -> Self {
        refused.rejection
    }
}

/// The present state of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// One entry for each limit, in the order in which the limits were added.
    pub limits: Vec<LimitUsage>,
    /// Who knows.
    pub source: Source,
}

/// The present state of one limit of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitUsage {
    /// The name of the limit.
    pub name: Arc<str>,
    /// The quota; of the [local share](Source::LocalShare), its part.
    pub quota: Quota,
    /// Permits in use; fractions are rounded up. More than the burst means debt.
    pub used: u64,
    /// The whole permits that are left.
    pub remaining: u64,
    /// The time until no permit is in use any more (the bucket is full).
    pub reset_after: Duration,
}
