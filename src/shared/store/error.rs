//! What can go wrong with a store.

use crate::{Quota, QuotaError};

/// Why a store can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A quota is not valid.
    #[error("namespace `{namespace}`, limit `{limit}`: {error}")]
    Quota {
        /// The namespace.
        namespace: String,
        /// The limit.
        limit: String,
        /// What is wrong.
        error: QuotaError,
    },
    /// A quota is valid, but the store could keep it only with a rounding.
    #[error(
        "namespace `{namespace}`, limit `{limit}`: the store can't keep {quota} exactly: {why}"
    )]
    Inexact {
        /// The namespace.
        namespace: String,
        /// The limit.
        limit: String,
        /// The quota.
        quota: Quota,
        /// Which bound it exceeds, and what to use instead.
        why: String,
    },
    /// A namespace has no limits, more than eight, or two of the same name; or it is not one that
    /// another can be [changed](crate::shared::Client::set_namespaces) to.
    #[error("namespace `{namespace}`: {why}")]
    Namespace {
        /// The namespace.
        namespace: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Why a store did not answer an ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store said that it does not do it. Nothing was taken.
    #[error("the store refuses: {0}")]
    Refused(String),
    /// The ask did not reach the store. Nothing was taken.
    #[error("the store can't be reached: {0}")]
    Unreachable(String),
    /// The ask was sent, and no answer came. Permits may have been taken.
    #[error("the store does not answer: {0}")]
    Lost(String),
    /// The answer is not one that the store gives. Permits may have been taken.
    #[error("the store's answer can't be read: {0}")]
    Unreadable(String),
    /// The store holds something else where the subject's levels should be. Nothing was taken;
    /// other subjects are not affected.
    #[error("the store holds something else than levels for this subject: {0}")]
    Foreign(String),
    /// The store has no room for a new subject. Nothing was taken; subjects that it knows are not
    /// affected.
    #[error("the store has no room for a new subject: {0}")]
    Full(String),
    /// The ask does not fit the namespaces with which the buckets were opened. Nothing was taken.
    #[error("the ask does not fit the store's limits: {0}")]
    Misfit(&'static str),
}

impl StoreError {
    /// Whether the ask was executed: `Some(false)` if it surely was not, so that it can be sent
    /// again; `None` if that is not known.
    ///
    /// ```
    /// use tollgate::shared::store::StoreError;
    /// assert_eq!(StoreError::Refused("LOADING".into()).was_executed(), Some(false));
    /// assert_eq!(StoreError::Lost("timed out".into()).was_executed(), None);
    /// ```
    #[must_use]
    pub fn was_executed(&self) -> Option<bool> {
        match self {
            Self::Refused(_)
            | Self::Unreachable(_)
            | Self::Foreign(_)
            | Self::Full(_)
            | Self::Misfit(_) => Some(false),
            Self::Lost(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether the store itself fails, and not only this ask.
    ///
    /// ```
    /// use tollgate::shared::store::StoreError;
    /// assert!(StoreError::Lost("timed out".into()).is_of_the_store());
    /// assert!(!StoreError::Foreign("WRONGTYPE".into()).is_of_the_store());
    /// ```
    #[must_use]
    pub fn is_of_the_store(&self) -> bool {
        !matches!(self, Self::Foreign(_) | Self::Full(_) | Self::Misfit(_))
    }
}
