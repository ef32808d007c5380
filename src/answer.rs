//! The answers of a limiter, as plain values.

use std::fmt;
use std::time::Duration;

use crate::Quota;
use crate::algorithm::Receipt;

/// The permits that were granted, and how many are left.
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
    /// The number of permits taken.
    pub permits: u64,
    /// The number of permits that are still available; [`u64::MAX`] if unlimited.
    pub remaining: u64,
    /// The most permits that can be taken at once (the burst); [`u64::MAX`] if unlimited.
    pub limit: u64,
    /// The time from the grant until no permit is in use any more (the bucket is full).
    pub reset_after: Duration,
    /// The bucket that the permits came from, and the receipt for giving them back.
    pub(crate) taken: Taken,
}

impl Grant {
    /// A grant of `permits` by an unlimited limiter, for a limiter of your own, such as a fake in a
    /// test. Change the other fields as needed.
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

/// Displays the grant for a log: `1 granted, 4 of 5 left`.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} granted, ", self.permits)?;
        left(f, self.remaining, self.limit)
    }
}

/// Writes how many permits of a limit are left.
fn left(f: &mut fmt::Formatter<'_>, remaining: u64, limit: u64) -> fmt::Result {
    match limit {
        u64::MAX => f.write_str("unlimited"),
        _ => write!(f, "{remaining} of {limit} left"),
    }
}

/// The present state of a limiter. Asking for it takes no permits.
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
    /// The quota. For a limiter of several limits: the quota with the smallest burst.
    ///
    /// It belongs to the same moment as the other fields, so that headers such as
    /// `RateLimit-Policy` or `X-RateLimit-Limit` agree with the remaining permits.
    pub quota: Quota,
    /// The most permits that can be taken at once (the burst); [`u64::MAX`] if unlimited.
    pub limit: u64,
    /// Permits in use; fractions are rounded up. More than `limit` means debt.
    pub used: u64,
    /// Permits available now.
    pub remaining: u64,
    /// The time until no permit is in use any more (the bucket is full).
    pub reset_after: Duration,
    /// Permits granted or consumed since the limiter was built, modulo 2⁶⁴; 0 if the limiter keeps
    /// no counters.
    pub allowed: u64,
    /// Permits refused since the limiter was built, at most 2⁶⁴ − 1; 0 if the limiter keeps no
    /// counters. Counts permits, not requests, and includes requests larger than the burst.
    pub denied: u64,
    /// The number of waiters, including reservations that are not due yet.
    pub waiting: usize,
}

impl Usage {
    /// The usage of a limiter with the quota `quota` whose permits are all available, for a limiter
    /// of your own. Change the other fields as needed.
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

/// Displays the usage for a log: `6 of 10 left, 2 waiting`.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        left(f, self.remaining, self.limit)?;
        match self.waiting {
            0 => Ok(()),
            waiting => write!(f, ", {waiting} waiting"),
        }
    }
}

/// Where permits were taken from, and the receipt for giving them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Taken {
    /// Which of several buckets served the request.
    pub(crate) by: u32,
    pub(crate) receipt: Receipt,
    /// The receipt of the global limit, if it was charged too.
    pub(crate) by_all: Option<Receipt>,
}

impl Taken {
    /// A grant that will not be given back.
    pub(crate) fn finally(by: u32) -> Self {
        Self { by, ..Self::default() }
    }
}
