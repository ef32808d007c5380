//! What can go wrong.

use std::time::Duration;

use crate::{QuotaError, llm, shared};

/// Why a request got no permit. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The limits do not permit it: those of this process, or those that are shared.
    #[error(transparent)]
    Limited(#[from] llm::Error),
    /// The store does not answer, and the [`Outage`](crate::shared::Outage) mode refuses the request.
    #[error("the store of the limits does not answer: try again in {retry_after:?}")]
    Unavailable {
        /// The time after which it is worth trying again.
        retry_after: Duration,
    },
}

impl Error {
    /// The time after which the same request can pass; `None` if it never can, or if the time is not
    /// known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(error) => error.retry_after(),
            Self::Unavailable { retry_after } => Some(*retry_after),
        }
    }
}

/// Why the limits of an account can't be shared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A limit is outside the supported range.
    #[error(transparent)]
    Limits(#[from] QuotaError),
    /// The store can't keep a limit.
    #[error(transparent)]
    Store(#[from] shared::store::OpenError),
}

/// Why a key could not be added or changed. The pool is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddKeyError {
    /// The pool of this process refuses it.
    #[error(transparent)]
    Pool(#[from] llm::AddKeyError),
    /// The store can't keep a limit.
    #[error(transparent)]
    Open(#[from] OpenError),
}
