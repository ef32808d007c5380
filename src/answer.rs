//! What a limiter answers: plain values.

use std::fmt;
use std::time::Duration;

use crate::Quota;
use crate::wait::queue::Taken;

/// Permits that were granted, and what is left.
///
/// ```
/// use tollgate::{Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_second(10))?;
/// let grant = limiter.try_acquire(4)?;
/// assert_eq!((grant.permits, grant.remaining), (4, 6));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Grant {
    /// How many were taken.
    pub permits: u64,
    /// How many could be taken right after; [`u64::MAX`] if unlimited.
    pub remaining: u64,
    /// The most permits that can be taken at once: the burst; [`u64::MAX`] if unlimited.
    pub limit: u64,
    /// The time from then until nothing is used any more (the bucket is full).
    pub reset_after: Duration,
    /// Where the permits came from, and the receipt for giving them back.
    pub(crate) taken: Taken,
}

impl Grant {
    /// A grant of `permits` by a limiter that is unlimited otherwise: for a limiter of your own, such as a fake in a
    /// test. Set the other fields as it likes.
    ///
    /// ```
    /// let mut grant = tollgate::Grant::new(1);
    /// grant.remaining = 4;
    /// assert_eq!(grant.permits, 1);
    /// ```
    #[must_use]
    pub fn new(permits: u64) -> Self {
        Self {
            permits,
            remaining: u64::MAX,
            limit: u64::MAX,
            reset_after: Duration::ZERO,
            taken: Taken::default(),
        }
    }
}

/// As a log shows it: `1 granted, 4 of 5 left`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} granted, ", self.permits)?;
        left(f, self.remaining, self.limit)
    }
}

/// What is left of a limit.
fn left(f: &mut fmt::Formatter<'_>, remaining: u64, limit: u64) -> fmt::Result {
    match limit {
        u64::MAX => f.write_str("unlimited"),
        _ => write!(f, "{remaining} of {limit} left"),
    }
}

/// A look at a limiter, which takes nothing.
///
/// ```
/// use tollgate::{Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_second(10))?;
/// limiter.allow_n(4);
/// let usage = limiter.usage();
/// assert_eq!((usage.limit, usage.used, usage.remaining), (10, 4, 6));
/// assert_eq!((usage.allowed, usage.denied), (4, 0));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Usage {
    /// The quota: with its permits and period, `RateLimit-Policy` or `X-RateLimit-Limit` can be told of the same moment.
    /// Of several limits, the one with the smallest burst.
    pub quota: Quota,
    /// The most permits that can be taken at once: the burst; [`u64::MAX`] if unlimited.
    pub limit: u64,
    /// Permits of the limit in use, parts rounded up. More than `limit` means debt.
    pub used: u64,
    /// Permits that could be taken now.
    pub remaining: u64,
    /// The time until nothing is used any more (the bucket is full).
    pub reset_after: Duration,
    /// Permits granted or consumed since the limiter was built, modulo 2⁶⁴; 0 where no counters are
    /// kept.
    pub allowed: u64,
    /// Permits refused since the limiter was built, up to 2⁶⁴ − 1; 0 where no counters are kept. Counts
    /// permits, not requests, and those too that could never have passed.
    pub denied: u64,
    /// How many wait or hold a reservation that is not due yet.
    pub waiting: usize,
}

impl Usage {
    /// The usage of a limiter of `quota` of which nothing is used: for a limiter of your own. Set the other fields as
    /// it likes.
    ///
    /// ```
    /// use tollgate::{Quota, Usage};
    /// assert_eq!(Usage::new(Quota::per_second(5)).remaining, 5);
    /// ```
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let limit = quota.burst_size();
        Self {
            quota,
            limit,
            used: 0,
            remaining: limit,
            reset_after: Duration::ZERO,
            allowed: 0,
            denied: 0,
            waiting: 0,
        }
    }
}

/// As a log shows it: `6 of 10 left, 2 waiting`.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        left(f, self.remaining, self.limit)?;
        match self.waiting {
            0 => Ok(()),
            waiting => write!(f, ", {waiting} waiting"),
        }
    }
}

/// How [`set_quota_with`](crate::RateLimiter::set_quota_with) carries the old level over.
///
/// The default keeps the used share: 40 of 100 left becomes 80 of 200, or 8 of 20. With it, with
/// [`Keep`](Self::Keep) and with [`KeepUsed`](Self::KeepUsed), switching back and forth at one moment never grants extra
/// permits; the other two can. Time under a quota that refills sooner refills the share sooner, also for a token bucket
/// that goes back to the slower quota then: let nobody choose freely between a large quota for an hour and a small one
/// for a minute. (Windows and interval refills remember the last eight quotas, so that there even this gains
/// nothing.) Permits that were granted before can't be given back any more by a
/// [`cancel`](crate::Reservation::cancel), except with [`KeepUsed`](Self::KeepUsed) and where the quota is the same as before.
///
/// ```
/// use tollgate::{CarryOver, Quota, RateLimiter, TokenBucket};
///
/// let limiter = TokenBucket::new(Quota::per_hour(100))?;
/// limiter.allow_n(60);
/// limiter.set_quota_with(Quota::per_hour(200), CarryOver::Keep)?;
/// assert_eq!(limiter.usage().remaining, 40);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CarryOver {
    /// The same share of the new burst: 40 of 100 becomes 80 of 200.
    #[default]
    Proportional,
    /// The same number, capped at the new burst: 40 of 100 becomes 40 of 200.
    Keep,
    /// The same number plus what the burst grew by: 40 of 100 becomes 140 of 200. Capped like
    /// `Keep` when it shrinks.
    AddDifference,
    /// The number of permits in use stays: 60 of 100 used becomes 60 of 200 used, or 60 of 20, which is debt. What
    /// a provider does that lowers a limit within a window: 3 of 10 used, lowered to 5, leaves 2.
    KeepUsed,
    /// All of the new burst.
    Full,
}
