//! What a store of shared levels is asked, and what it answers.
//!
//! A limiter opens a [`Store`] with the [`Namespace`]s of its subjects, and then sends batches of
//! [`Ask`]s to the [`Buckets`] that it gets. An ask charges one or several subjects, all of them or
//! none. The [`Answer`] has the exact [`Level`] of each limit.

mod answer;
mod ask;
mod error;
mod limits;
mod memory;

use std::pin::Pin;
use std::sync::Arc;

pub use answer::{Answer, Level, Outcome, Receipt, Verdict};
pub use ask::{Ask, Charge, Part, Verb};
pub use error::{OpenError, StoreError};
pub use limits::{LimitSpec, Namespace, Rule};
pub use memory::{Memory, MemoryBuckets, MemoryBuilder, SubjectAsk};

/// A store of levels that several limiters, and usually several processes, share.
pub trait Store: Send + Sync + 'static {
    /// The buckets of these namespaces.
    ///
    /// Two limiters share their buckets if they open namespaces with the same name and with limits
    /// of the same names and [rules](Rule) in the same order. A quota that differs from the one
    /// under which a bucket was last charged carries the used share over, rounded up, so
    /// changing a quota to and fro gains nothing.
    ///
    /// # Errors
    ///
    /// If the store can't keep a quota exactly.
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError>;
}

/// The answers to a batch: one for each ask, in the order of the asks.
///
/// # Cancel safety
///
/// If the future is dropped, a store may do what it was asked, or not.
pub type Answers = Pin<Box<dyn Future<Output = Vec<Result<Answer, StoreError>>> + Send>>;

/// The buckets of the namespaces with which a [`Store`] was opened.
pub trait Buckets: Send + Sync + 'static {
    /// Does what each of the `asks` says, in their order and each by itself.
    ///
    /// There are as many answers as asks. A store answers an error where it can't say what it did,
    /// and [`StoreError::was_executed`] says what is known of it. The future never waits for
    /// anything but the store, and may wait for the store forever: deadlines are the caller's.
    fn ask(&self, asks: Vec<Ask>) -> Answers;

    /// The most asks that are worth sending in one batch.
    fn batch_size(&self) -> usize {
        64
    }

    /// Whether one ask can charge several subjects. A cluster can't: each of its subjects may be on
    /// another server. Then a [`Client`](super::Client::ask) asks part after part.
    fn spans_subjects(&self) -> bool {
        true
    }

    /// The server that does an ask, as a number of the store's choice. The asks of a server go out
    /// together, and fail together: if one server does not answer, the others are still asked. A
    /// store of several servers, such as a cluster, numbers them from 0 on, and a number that was
    /// given to a server stays its number. Numbers are taken modulo 64.
    fn server_of(&self, ask: &Ask) -> usize {
        let _ = ask;
        0
    }
}
