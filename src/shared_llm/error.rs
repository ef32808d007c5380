//! What can go wrong.

use crate::{QuotaError, llm, shared};

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
