//! Why a wait ended without permits.

use std::time::Duration;

use super::{Rejection, Rounded, WhichLimit};

/// Why a wait ended without permits. Nothing was taken, and the waiter has left the queue.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Quota, RateLimiter, TokenBucket, WaitError};
///
/// let limiter = TokenBucket::new(Quota::per_hour(1))?;
/// assert!(limiter.allow());
/// // A permit would take an hour, so the timeout of a second is reported at once.
/// let error = limiter.wait_timeout(1, Duration::from_secs(1)).unwrap_err();
/// assert!(matches!(error, WaitError::Timeout { .. }));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The request is larger than the burst, so it can never pass.
    #[error("{requested} permits can never pass at once: the burst is {burst}; ask for fewer")]
    ExceedsBurst {
        /// The number of permits that were requested.
        requested: u64,
        /// The most permits that can be taken at once.
        burst: u64,
        /// The limit that refused.
        limit: WhichLimit,
    },
    /// The permits will not be available before the deadline.
    #[error("not in time: the permits will be available in {}", Rounded(*.retry_after))]
    Timeout {
        /// The time for which the caller would have had to wait.
        retry_after: Duration,
    },
    /// The queue already has its maximum number of waiters.
    #[error("the queue is full: {max_waiters} requests are already waiting")]
    QueueFull {
        /// The maximum number of waiters.
        max_waiters: usize,
    },
    /// The [cancel token](crate::CancelToken) of the wait was cancelled.
    #[error("the wait was cancelled")]
    Cancelled,
    /// The limiter was closed.
    #[error("the limiter is closed")]
    Closed,
    /// The key is blocked.
    #[error("the key is blocked")]
    Blocked,
    /// The key is blocked [for a while](crate::Keyed::block_for). A wait never lasts until the end
    /// of a block.
    #[error("the key is blocked for {}", Rounded(*.retry_after))]
    BlockedFor {
        /// The time for which the key was still blocked when the wait ended.
        retry_after: Duration,
    },
    /// The key is new, and the keyed limiter already holds its maximum number of keys.
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
    /// An async wait ran outside of a runtime with a timer.
    #[error(
        "no timer: await this inside a tokio runtime with `enable_time`, \
         or pass a timer with `acquire_on`"
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
            Rejection::Unavailable { retry_after } => Self::Unavailable { retry_after },
        }
    }
}
