//! Why a request was refused.

use std::time::Duration;

use super::Rounded;

/// Which limit of a limiter refused the request.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota, Rejection, WhichLimit};
/// let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5));
/// let limiter = builder.global(Quota::per_hour(1)).build()?;
/// assert!(limiter.allow(&1));
/// let Err(Rejection::Denied { limit, .. }) = limiter.try_acquire(&1, 1) else { unreachable!() };
/// assert_eq!(limit, WhichLimit::Global);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhichLimit {
    /// The only limit of the limiter. For a [keyed limiter](crate::Keyed): the limit of the key.
    Only,
    /// One of the limits of a [`Composite`](crate::Composite), by its index from 0.
    Nth(usize),
    /// The [global limit](crate::keyed::KeyedBuilder::global) of a keyed limiter, which all keys
    /// share.
    Global,
}

/// Why permits were not granted at once.
///
/// | Rejection | HTTP status | `Retry-After` |
/// |---|---|---|
/// | [`Denied`](Self::Denied) | 429; 503 if [`is_global`] | [`retry_after_secs`] |
/// | [`ExceedsBurst`](Self::ExceedsBurst) | 413 or 400, because no wait would help | – |
/// | [`Blocked`](Self::Blocked) | 403 | – |
/// | [`BlockedFor`](Self::BlockedFor) | 403 | [`retry_after_secs`] |
/// | [`TooManyKeys`](Self::TooManyKeys), [`Closed`](Self::Closed) | 503 | – |
/// | [`Unavailable`](Self::Unavailable) | 503 | [`retry_after_secs`] |
///
/// [`is_global`]: Self::is_global
/// [`retry_after_secs`]: Self::retry_after_secs
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
    /// The permits are not available now, but may be later. Nothing was taken.
    #[error("rate limited: retry after {}", Rounded(*.retry_after))]
    Denied {
        /// The time until the same request can pass, rounded up to a nanosecond. Sleeping exactly
        /// this long is enough, unless another caller takes the permits first.
        retry_after: Duration,
        /// Permits available now: fewer than requested, or 0 because others are queued.
        available: u64,
        /// The time until no permit is in use any more (the bucket is full), also counted from
        /// now.
        reset_after: Duration,
        /// The most permits that can be taken at once.
        burst: u64,
        /// The limit that refused.
        limit: WhichLimit,
    },
    /// The request is larger than the burst, so it can never pass. Nothing was taken.
    #[error("{requested} permits can never pass at once: the burst is {burst}; ask for fewer")]
    ExceedsBurst {
        /// The number of permits that were requested.
        requested: u64,
        /// The most permits that can be taken at once.
        burst: u64,
        /// The limit that refused.
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
        /// The time for which the key is still blocked.
        retry_after: Duration,
    },
    /// The key is new, and the keyed limiter already holds its maximum number of keys. Requests of
    /// known keys are not affected. A new key is accepted again once a known key is idle.
    #[error("no room for a new key: the limiter already holds {max_keys} keys")]
    TooManyKeys {
        /// The maximum number of keys.
        max_keys: usize,
    },
    /// The store of a shared limit does not answer, and the limiter refuses everybody meanwhile.
    #[error("the store of the limit does not answer: retry after {}", Rounded(*.retry_after))]
    Unavailable {
        /// The time after which it is worth trying again.
        retry_after: Duration,
    },
}

impl Rejection {
    /// A denial by a limiter that has no permits left. Use it in a limiter of your own, such as a
    /// fake in a test.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::Rejection;
    /// let wait = Duration::from_secs(3);
    /// assert_eq!(Rejection::denied(wait).retry_after(), Some(wait));
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

    /// The HTTP status for this rejection: 429 if the request was [`Denied`](Self::Denied); 503 if
    /// the global limit denied it, or if the limiter is closed, holds too many keys, or has a store
    /// that does not answer; 413 if the request [exceeds the burst](Self::ExceedsBurst); 403 if the
    /// key is [`Blocked`](Self::Blocked).
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
            Self::TooManyKeys { .. } | Self::Closed | Self::Unavailable { .. } => 503,
        }
    }

    /// Whether the [global limit](crate::keyed::KeyedBuilder::global) refused, not the limit of the
    /// key.
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

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up and at least 1: the value of
    /// the HTTP header `Retry-After` (RFC 9110, section 10.2.3).
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

    /// Of two rejections of one request by two limits, the one to answer with: one that no wait
    /// would help, or else the one with the longer wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::Rejection;
    /// let second = Rejection::denied(Duration::from_secs(1));
    /// let minute = Rejection::denied(Duration::from_secs(60));
    /// assert_eq!(second.stricter(minute), minute);
    /// assert_eq!(minute.stricter(Rejection::Closed), Rejection::Closed);
    /// ```
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        match (self.retry_after(), other.retry_after()) {
            (Some(_), None) => other,
            (Some(wait), Some(longer)) if longer > wait => other,
            _ => self,
        }
    }

    /// The time until the same request can pass. `None` if no wait would help, or if the time is
    /// not known.
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
            Self::Denied { retry_after, .. }
            | Self::BlockedFor { retry_after }
            | Self::Unavailable { retry_after } => Some(*retry_after),
            Self::ExceedsBurst { .. } | Self::Closed | Self::Blocked | Self::TooManyKeys { .. } => {
                None
            }
        }
    }
}
