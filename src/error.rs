//! What can go wrong, and what to do next.

use std::time::Duration;

/// Why no limiter can be built from a [`Quota`](crate::Quota), or a new quota was not taken.
///
/// ```
/// use tollgate::{Quota, QuotaError, TokenBucket};
/// let error = TokenBucket::new(Quota::per_second(0)).unwrap_err();
/// assert_eq!(error, QuotaError::ZeroRate);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// No permits per period.
    #[error(
        "the rate is zero: give at least 1 permit per period, or `unlimited` if you mean no limit"
    )]
    ZeroRate,
    /// A burst of nothing.
    #[error("the burst is zero: nothing could ever pass; give at least 1")]
    ZeroBurst,
    /// A period of no time.
    #[error("the period is zero: give at least 1 ns, or `unlimited` if you mean no limit")]
    ZeroPeriod,
    /// A period of more than 2⁶⁴ − 1 ns.
    #[error("the period is longer than 584 years")]
    PeriodTooLong,
    /// A window admits its permits whenever they are asked for: there is no second number.
    #[error("a window has no burst of its own: leave the burst out")]
    BurstUnsupported,
    /// More initial permits than the burst.
    #[error("the initial fill is larger than the burst of {burst}")]
    InitialExceedsBurst {
        /// The largest possible initial fill.
        burst: u64,
    },
    /// The one word of an [`AtomicTokenBucket`](crate::AtomicTokenBucket) can't keep rate and burst
    /// to within a millionth.
    #[error(
        "one 64-bit word can't keep this rate and burst to within a millionth: use a `TokenBucket`"
    )]
    TooWide,
    /// Rate and burst need more than 128 bits together, so their level could not be kept exactly.
    #[error(
        "rate and burst are too large together to be kept exactly: give a smaller burst, or a shorter period"
    )]
    TooLarge,
    /// The burst is too small for what leases hold back.
    #[error(
        "leases hold back {held_back} permits, which leaves nothing of the burst: raise it, or lease fewer"
    )]
    BurstBelowLeases {
        /// Permits that outstanding leases may hold.
        held_back: u64,
    },
    /// A [`Composite`](crate::Composite) without a limit.
    #[error("no limits: give at least one")]
    NoLimits,
    /// Two limits of a [`Composite`](crate::Composite) with one name.
    #[error("two limits have the same name")]
    DuplicateName,
    /// One of the limits of a [`Composite`](crate::Composite) can't be kept.
    #[error("limit \"{name}\": {error}")]
    Limit {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: Box<QuotaError>,
    },
    /// An option of a builder that no limiter can be built with.
    #[error("`{option}` is {given}: give {least} to {most}")]
    OutOfRange {
        /// The option's name.
        option: &'static str,
        /// What was given.
        given: usize,
        /// The smallest value that can be given.
        least: usize,
        /// The largest value that can be given.
        most: usize,
    },
    /// One quota for a limiter of several limits.
    #[error("this limiter has several limits: use `set_limits`")]
    SeveralLimits,
    /// A limiter of somebody's own that does not take another quota.
    #[error("this limiter takes no other quota")]
    Unsupported,
}

/// Which of the limits of a limiter refused.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota, Rejection, WhichLimit};
/// let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).global(Quota::per_hour(1)).build()?;
/// assert!(limiter.allow(&1));
/// let Err(Rejection::Denied { limit, .. }) = limiter.try_acquire(&1, 1) else { unreachable!() };
/// assert_eq!(limit, WhichLimit::Global);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhichLimit {
    /// The only one there is; of a [keyed limiter](crate::Keyed), the key's own.
    Only,
    /// One of several, by its place in a [`Composite`](crate::Composite), from 0.
    Nth(usize),
    /// The one [for everybody](crate::keyed::KeyedBuilder::global) of a keyed limiter.
    Global,
}

/// Why permits were not granted at once.
///
/// | | in HTTP | `Retry-After` |
/// |---|---|---|
/// | [`Denied`](Self::Denied) | 429; 503 if [`is_global`](Self::is_global) | [`retry_after_secs`](Self::retry_after_secs) |
/// | [`ExceedsBurst`](Self::ExceedsBurst) | 413 or 400: no wait would help | – |
/// | [`Blocked`](Self::Blocked) | 403 | – |
/// | [`BlockedFor`](Self::BlockedFor) | 403 | [`retry_after_secs`](Self::retry_after_secs) |
/// | [`TooManyKeys`](Self::TooManyKeys), [`Closed`](Self::Closed) | 503 | – |
///
/// ```
/// use tollgate::{Quota, RateLimiter, Rejection, TokenBucket};
///
/// let limiter = TokenBucket::new(Quota::per_second(2))?;
/// match limiter.try_acquire(5) {
///     Ok(grant) => println!("{} left", grant.remaining),
///     Err(Rejection::Denied { retry_after, .. }) => println!("come back in {retry_after:?}"),
///     Err(Rejection::ExceedsBurst { burst, .. }) => println!("ask for {burst} at most"),
///     Err(other) => println!("{other}"),
/// }
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Not now. Nothing was taken.
    #[error("rate limited: retry after {}", Rounded(*.retry_after))]
    Denied {
        /// How long until the same request can pass, rounded up to a nanosecond: whoever sleeps
        /// exactly this long is not refused again for want of time. Others may be served first.
        retry_after: Duration,
        /// Permits there are now, fewer than were asked for (or held for those who wait).
        available: u64,
        /// The time until nothing is used any more (the bucket is full), from the same moment.
        reset_after: Duration,
        /// The most permits that can be taken at once.
        burst: u64,
        /// Which limit refused.
        limit: WhichLimit,
    },
    /// Never: more than the burst. Nothing was taken.
    #[error("{requested} permits can never pass: the burst is {burst}; ask for fewer at a time")]
    ExceedsBurst {
        /// What was asked for.
        requested: u64,
        /// The most that can be had at once.
        burst: u64,
        /// Which limit refused.
        limit: WhichLimit,
    },
    /// The limiter was closed.
    #[error("the limiter is closed")]
    Closed,
    /// The key is blocked.
    #[error("the key is blocked")]
    Blocked,
    /// The key is blocked [for a while](crate::Keyed::block_for).
    #[error("the key is blocked for {}", Rounded(*.retry_after))]
    BlockedFor {
        /// How long the key is still blocked.
        retry_after: Duration,
    },
    /// The key is new, and a keyed limiter holds as many as it may. Known keys are not affected, and
    /// there is room again once one of them is idle.
    #[error("no room for a new key: {max_keys} are held already")]
    TooManyKeys {
        /// The bound that was set.
        max_keys: usize,
    },
}

/// A duration to be read: rounded up to at most three decimals.
pub(crate) struct Rounded(pub(crate) Duration);

impl std::fmt::Display for Rounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.as_nanos();
        let unit = match nanos {
            0..1_000_000 => 1,
            1_000_000..1_000_000_000 => 1_000,
            _ => 1_000_000,
        };
        let up = nanos.div_ceil(unit).saturating_mul(unit);
        let up = u64::try_from(up).map_or(Duration::MAX, Duration::from_nanos);
        write!(f, "{:?}", if up < self.0 { self.0 } else { up })
    }
}

impl Rejection {
    /// A denial by a limiter of which nothing is left: for a limiter of your own, such as a fake in a test.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::Rejection;
    /// assert_eq!(Rejection::denied(Duration::from_secs(3)).retry_after(), Some(Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub fn denied(retry_after: Duration) -> Self {
        Self::Denied {
            retry_after,
            available: 0,
            reset_after: retry_after,
            burst: 1,
            limit: WhichLimit::Only,
        }
    }

    /// The HTTP status of the table above: 429 for a [`Denied`](Self::Denied) request, 503 if everybody's limit
    /// denied it or the limiter is closed or full, 413 for one that [`ExceedsBurst`](Self::ExceedsBurst), 403 for a
    /// [`Blocked`](Self::Blocked) key.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// limiter.drain();
    /// assert_eq!(limiter.try_acquire(1).unwrap_err().http_status(), 429);
    /// assert_eq!(limiter.try_acquire(2).unwrap_err().http_status(), 413);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Denied { .. } if self.is_global() => 503,
            Self::Denied { .. } => 429,
            Self::ExceedsBurst { .. } => 413,
            Self::Blocked | Self::BlockedFor { .. } => 403,
            Self::TooManyKeys { .. } | Self::Closed => 503,
        }
    }

    /// Whether the [limit for everybody](crate::keyed::KeyedBuilder::global) refused, not the key's own.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let builder = KeyedLimiter::<u8>::builder(Quota::per_hour(9)).global(Quota::per_hour(1));
    /// let limiter = builder.build()?;
    /// assert!(limiter.allow(&1));
    /// assert!(limiter.try_acquire(&2, 1).unwrap_err().is_global());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn is_global(&self) -> bool {
        matches!(
            self,
            Self::Denied { limit: WhichLimit::Global, .. }
                | Self::ExceedsBurst { limit: WhichLimit::Global, .. }
        )
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up and at least 1, as HTTP's
    /// `Retry-After` wants it (RFC 9110, section 10.2.3).
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(5))?;
    /// limiter.drain();
    /// assert_eq!(limiter.try_acquire(1).unwrap_err().retry_after_secs(), Some(1)); // 200 ms
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u64> {
        let wait = self.retry_after()?;
        Some(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    /// How long until the same request can pass; `None` if it never will, or nobody can tell.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(2))?;
    /// assert!(limiter.allow_n(2));
    /// assert!(limiter.try_acquire(1).unwrap_err().retry_after().is_some());
    /// assert!(limiter.try_acquire(9).unwrap_err().retry_after().is_none());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { retry_after, .. } | Self::BlockedFor { retry_after } => {
                Some(*retry_after)
            }
            Self::ExceedsBurst { .. } | Self::Closed | Self::Blocked | Self::TooManyKeys { .. } => {
                None
            }
        }
    }
}

/// Why a wait ended without permits. Nothing was taken, and the place in the queue is free.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Quota, RateLimiter, TokenBucket, WaitError};
///
/// let limiter = TokenBucket::new(Quota::per_hour(1))?;
/// assert!(limiter.allow());
/// // An hour's wait can't be met within a second: that is known, and said, at once.
/// let error = limiter.wait_timeout(1, Duration::from_secs(1)).unwrap_err();
/// assert!(matches!(error, WaitError::Timeout { .. }));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// Never: more than the burst.
    #[error("{requested} permits can never pass: the burst is {burst}; ask for fewer at a time")]
    ExceedsBurst {
        /// What was asked for.
        requested: u64,
        /// The most that can be had at once.
        burst: u64,
        /// Which limit refused.
        limit: WhichLimit,
    },
    /// The permits can't be had before the deadline.
    #[error("not in time: the permits would take {}", Rounded(*.retry_after))]
    Timeout {
        /// How long the wait would have been.
        retry_after: Duration,
    },
    /// As many wait as the limiter lets wait.
    #[error("the queue is full: {max_waiters} already wait; shed this request")]
    QueueFull {
        /// The bound that was set.
        max_waiters: usize,
    },
    /// The cancel token was cancelled.
    #[error("the wait was cancelled")]
    Cancelled,
    /// The limiter was closed.
    #[error("the limiter is closed")]
    Closed,
    /// The key is blocked.
    #[error("the key is blocked")]
    Blocked,
    /// The key is blocked [for a while](crate::Keyed::block_for). Nobody waits for the end of a
    /// block.
    #[error("the key is blocked for {}", Rounded(*.retry_after))]
    BlockedFor {
        /// How long the key was still blocked when the wait ended.
        retry_after: Duration,
    },
    /// The key is new, and a keyed limiter holds as many as it may.
    #[error("no room for a new key: {max_keys} are held already")]
    TooManyKeys {
        /// The bound that was set.
        max_keys: usize,
    },
    /// An async wait outside any runtime that has a timer.
    #[error(
        "no timer: await this inside a tokio runtime with `enable_time`, or bring a timer with `acquire_on`"
    )]
    NoTimer,
}

impl From<Rejection> for WaitError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Denied { retry_after, .. } => Self::Timeout { retry_after },
            Rejection::ExceedsBurst { requested, burst, limit } => {
                Self::ExceedsBurst { requested, burst, limit }
            }
            Rejection::Closed => Self::Closed,
            Rejection::Blocked => Self::Blocked,
            Rejection::BlockedFor { retry_after } => Self::BlockedFor { retry_after },
            Rejection::TooManyKeys { max_keys } => Self::TooManyKeys { max_keys },
        }
    }
}

/// Why usage could not be recorded; nothing was.
///
/// ```
/// use tollgate::{ConsumeError, Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::new(Quota::per_day(1))?;
/// let error = limiter.consume(u64::MAX).unwrap_err();
/// assert_eq!(error, ConsumeError::DebtTooLarge { permits: u64::MAX });
/// assert_eq!(limiter.usage().remaining, 1);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The repayment would outlast the clock.
    #[error("a debt of {permits} permits more could not be repaid within 584 years")]
    DebtTooLarge {
        /// What was to be recorded.
        permits: u64,
    },
    /// The key is new, and a keyed limiter holds as many as it may.
    #[error("no room for a new key: {max_keys} are held already")]
    TooManyKeys {
        /// The bound that was set.
        max_keys: usize,
    },
    /// None of the limits of a [`Composite`](crate::Composite) has that name.
    #[error("no limit of this limiter has that name")]
    UnknownLimit,
}
