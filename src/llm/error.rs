//! Why a request may not go out.

use std::time::Duration;

use super::LimitKind;
use crate::{Rejection, WaitError};

/// Why an LLM limit did not let a request go out. Nothing was taken.
///
/// ```
/// use tollgate::llm::{Error, LimitKind, Limiter};
///
/// let limiter = Limiter::builder().tokens_per_minute(1_000).build()?;
/// let error = limiter.try_acquire(5_000).unwrap_err();
/// let Error::Never { limit, most, .. } = error else { panic!("{error}") };
/// assert_eq!((limit, most), (LimitKind::Tokens, 1_000));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not now.
    #[error("limited by {limit}{}", after(*.retry_after))]
    Denied {
        /// The limit that makes it wait longest.
        limit: LimitKind,
        /// After this, all limits agree, unless others come first; `None` if that depends on when a
        /// request in flight ends.
        retry_after: Option<Duration>,
    },
    /// Never: the estimate is larger than a limit. Ask for less, or build with
    /// [`clamp_estimates`](super::LimiterBuilder::clamp_estimates).
    #[error("{requested} can never pass: the limit is {most} {limit}")]
    Never {
        /// The limit.
        limit: LimitKind,
        /// What was asked of it.
        requested: u64,
        /// The most that it lets pass at once.
        most: u64,
    },
    /// The server has said to wait longer than
    /// [`max_server_wait`](super::LimiterBuilder::max_server_wait) lets anybody wait.
    #[error("the server said to wait {retry_after:?} more")]
    ServerWait {
        /// How much of that is left.
        retry_after: Duration,
    },
    /// The wait would outlast its deadline.
    #[error("not in time{}", after(*.retry_after))]
    Timeout {
        /// How long it would have taken; `None` if that depends on when a request in flight ends.
        retry_after: Option<Duration>,
    },
    /// As many wait as may.
    #[error("the queue is full: {max_waiters} already wait")]
    QueueFull {
        /// The bound that was set.
        max_waiters: usize,
    },
    /// A pool without a key in use.
    #[error("no key is in use")]
    NoKeys,
    /// The wait was cancelled.
    #[error("the wait was cancelled")]
    Cancelled,
    /// The limiter was closed.
    #[error("the limiter is closed")]
    Closed,
    /// An async wait outside any runtime that has a timer.
    #[error("no timer: await this inside a tokio runtime")]
    NoTimer,
}

fn after(retry_after: Option<Duration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(": retry after {wait:?}"))
}

/// Longer than this, nobody knows.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

fn known(wait: Duration) -> Option<Duration> {
    (wait < CENTURY).then_some(wait)
}

impl Error {
    /// How long until the same request can pass, if that is known and ever.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied { retry_after, .. } | Self::Timeout { retry_after } => *retry_after,
            Self::ServerWait { retry_after } => Some(*retry_after),
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
            WaitError::Closed
            | WaitError::Blocked
            | WaitError::BlockedFor { .. }
            | WaitError::TooManyKeys { .. } => Self::Closed,
        }
    }
}
