//! Why a request got no permit.

use std::time::Duration;

use super::LimitKind;
use crate::{Rejection, WaitError};

/// Why a request got no permit. Nothing was taken.
///
/// ```
/// use tollgate::llm::{Error, LimitKind, Period, Limiter};
///
/// let limiter = Limiter::builder().tokens_per_minute(1_000).build()?;
/// let error = limiter.try_acquire(5_000).unwrap_err();
/// let Error::Never { limit, most, .. } = error else { panic!("{error}") };
/// assert_eq!((limit, most), (LimitKind::Tokens(Period::MINUTE), 1_000));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent now, but it can be sent later.
    #[error("limited by {limit}{}", after(*.retry_after))]
    Denied {
        /// The limit that the request would wait for longest.
        limit: LimitKind,
        /// The time after which all limits allow the request, unless other requests take the
        /// permits first; `None` if that depends on when a request in flight ends.
        retry_after: Option<Duration>,
    },
    /// The request can never be sent, because its estimate is larger than a limit. Acquire less, or
    /// build with [`clamp_estimates`](super::LimiterBuilder::clamp_estimates).
    #[error(
        "can never pass: {requested} exceeds the {most} that the limit on {limit} allows at once"
    )]
    Never {
        /// The limit that is exceeded.
        limit: LimitKind,
        /// The number that the request would take of this limit.
        requested: u64,
        /// The most that can be taken of this limit at once.
        most: u64,
    },
    /// The server asked for a pause, and more of it is left than requests wait for; see
    /// [`max_server_wait`](super::LimiterBuilder::max_server_wait).
    #[error("paused at the server's request: retry after {retry_after:?}")]
    ServerWait {
        /// The rest of the pause.
        retry_after: Duration,
    },
    /// The wait would exceed its timeout, or has exceeded it.
    #[error("the wait would exceed its timeout{}", after(*.retry_after))]
    Timeout {
        /// How long the wait would have taken; `None` if that depends on when a request in flight
        /// ends.
        retry_after: Option<Duration>,
    },
    /// The queue is full.
    #[error("the queue is full: {max_waiters} requests are waiting already")]
    QueueFull {
        /// The configured bound.
        max_waiters: usize,
    },
    /// The pool has no active key: it is empty, or all of its keys are disabled.
    #[error(
        "the pool has no active key: add one, or enable a key that was disabled with `restore`"
    )]
    NoKeys,
    /// The wait was cancelled.
    #[error("the wait was cancelled")]
    Cancelled,
    /// The limiter or the pool was closed.
    #[error("the limiter is closed")]
    Closed,
    /// The limits are shared, and their store does not answer; see the module `shared_llm`.
    #[error("the store of the limits does not answer: try again in {retry_after:?}")]
    Unavailable {
        /// The time after which it is worth trying again.
        retry_after: Duration,
    },
    /// The request had to wait, but no timer was running.
    #[error("no timer: await this inside a tokio runtime with its timer enabled")]
    NoTimer,
}

fn after(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(": retry after {wait:?}"))
}

/// A wait this long stands for a time that is not known.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

fn known(wait: Duration) -> Option<Duration> {
    (wait < CENTURY).then_some(wait)
}

impl Error {
    /// The time after which the same request can pass; `None` if it never can, or if the time is
    /// not known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { retry_after, .. } | Self::Timeout { retry_after } => *retry_after,
            Self::ServerWait { retry_after } | Self::Unavailable { retry_after } => {
                Some(*retry_after)
            }
            _ => None,
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Denied { retry_after, limit, .. } => {
                Self::Denied { limit: LimitKind::of(limit), retry_after: known(retry_after) }
            }
            Rejection::ExceedsBurst { requested, burst, limit } => {
                Self::Never { limit: LimitKind::of(limit), requested, most: burst }
            }
            Rejection::Unavailable { retry_after } => Self::Unavailable { retry_after },
            Rejection::Closed
            | Rejection::Blocked
            | Rejection::BlockedFor { .. }
            | Rejection::TooManyKeys { .. } => Self::Closed,
        }
    }
}

impl From<WaitError> for Error {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::ExceedsBurst { requested, burst, limit } => {
                Self::Never { limit: LimitKind::of(limit), requested, most: burst }
            }
            WaitError::Timeout { retry_after } => Self::Timeout { retry_after: known(retry_after) },
            WaitError::QueueFull { max_waiters } => Self::QueueFull { max_waiters },
            WaitError::Cancelled => Self::Cancelled,
            WaitError::NoTimer => Self::NoTimer,
            WaitError::Unavailable { retry_after } => Self::Unavailable { retry_after },
            WaitError::Closed
            | WaitError::Blocked
            | WaitError::BlockedFor { .. }
            | WaitError::TooManyKeys { .. } => Self::Closed,
        }
    }
}
