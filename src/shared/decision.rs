//! What a client answers.

use std::time::Duration;

use crate::shared::Source;
use crate::shared::store::Answer;

/// An answer, and what it is based on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The answer, as of the moment of the decision.
    pub answer: Answer,
    /// Who decided.
    pub source: Source,
}

/// Why a client did not decide. Nothing was taken, as far as is known. (Of an ask that can't be
/// refused, such as a consume, some parts can be done already if the store asks
/// [part by part](crate::shared::store::Buckets::spans_subjects).)
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The store does not answer, and the client is [closed](crate::shared::Outage::Closed) as long
    /// as it does not.
    #[error("the store of the limits does not answer: try again in {retry_after:?}")]
    Unavailable {
        /// The time after which it is worth trying again.
        retry_after: Duration,
    },
    /// The ask does not fit the namespaces of the client.
    #[error("the ask does not fit the limits: {0}")]
    Misfit(&'static str),
}
