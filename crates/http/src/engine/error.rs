//! Why a limiter could not be built.

use std::fmt;

use super::store::StoreError;
use crate::policy::{LoadError, PolicyError};

/// Why a limiter could not be built, or its policy not be replaced.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The policy has problems.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The file of the policy could not be read, or the policy in it has problems.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store can't keep a limit of the policy.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refused a thread, or a handler of a signal.
    #[error("the limiter can't get a thread or a signal handler: {0}")]
    Thread(#[source] std::io::Error),
}

/// Shows what `Display` shows, because a `main` that returns the error prints it like this.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
