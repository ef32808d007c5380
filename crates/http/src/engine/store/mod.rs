//! Where the buckets of a policy's limits live.
//!
//! The engine turns a request into charges and asks the [`Buckets`] of its policy. Memory answers
//! at once. A store that other processes share answers later, with a future.

mod memory;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tollgate::{Quota, QuotaError};

pub(crate) use memory::EngineClock;
pub use memory::Memory;

use super::key::{Key, KeyView};
use crate::address::Prefixes;
use crate::policy::{Algorithm, KeyPart, WhenFull};

/// A limit of a policy, for a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LimitSpec {
    /// What makes it the same limit after a reload.
    pub identity: Identity,
    /// The quotas that requests may ask under: the limit's own first, then those of tiers and
    /// subjects. An unlimited quota is never asked under.
    pub quotas: Vec<Quota>,
    /// The most keys that are kept.
    pub max_keys: usize,
    /// What happens to further keys.
    pub when_full: WhenFull,
}

/// What makes two limits of two policies the same limit, whose levels a reload keeps (rule L3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// The limit's name.
    pub name: Arc<str>,
    /// The parts of its key.
    pub key: Vec<KeyPart>,
    /// Its rule.
    pub algorithm: Algorithm,
    /// How addresses are cut.
    pub prefixes: Prefixes,
}

/// A store of buckets.
pub trait Store: Send + Sync + 'static {
    /// The buckets of a policy's limits. Limits that are the same as before keep their levels; a
    /// new quota carries the used share over.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit.
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError>;
}

/// The buckets of one policy's limits.
pub trait Buckets: Send + Sync + 'static {
    /// Does what `verb` says with `charges`. The limits of charges are indices into the list with
    /// which the buckets were opened. If the answer is [`Reply::Now`], `answers` holds one answer
    /// for each charge.
    fn ask(&self, verb: Verb, charges: &[Charge<'_>], answers: &mut Answers) -> Reply;

    /// Makes the bucket of a key full.
    fn reset(&self, limit: usize, key: &KeyView<'_>);

    /// How many keys a limit holds, as far as it is known.
    fn keys(&self, limit: usize) -> usize;

    /// The keys that a limit has refused most, and how often, the most refused first; at most `n`.
    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)>;
}

/// What is done with charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// Takes the permits of all charges that are not shadow charges, or of none. Only then takes
    /// each shadow charge for itself.
    Take,
    /// Takes nothing, and answers what is left.
    Look,
    /// Gives permits back, never above full.
    Credit,
    /// Takes permits also if they are not there, as debt.
    Consume,
}

/// One limit's part in a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Charge<'a> {
    /// The limit, by its index.
    pub limit: usize,
    /// Whose bucket.
    pub key: KeyView<'a>,
    /// The quota, by its index in [`LimitSpec::quotas`].
    pub quota: usize,
    /// How many permits.
    pub cost: u64,
    /// Whether the limit only tells what it would refuse.
    pub shadow: bool,
}

/// What a limit answers to a charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The refusal, if the limit refused.
    pub refused: Option<Refused>,
    /// Whole permits left.
    pub remaining: u64,
    /// The time until the bucket is full.
    pub full_after: Duration,
    /// The time until the next permit. Known if `remaining` is 0 and the limit has not refused.
    pub next_after: Duration,
}

/// Why a limit refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The permits will be there after this time.
    For(Duration),
    /// The cost is above the burst, so no wait helps.
    Never,
    /// There is no room for a new key (rule F12).
    Full,
}

/// Answers to charges, in their order.
pub type Answers = SmallVec<[Answer; 4]>;

/// Answers that come later.
pub type Later = Pin<Box<dyn Future<Output = Result<Answers, StoreError>> + Send>>;

/// How a store answers.
#[must_use = "an answer that comes later has to be awaited"]
pub enum Reply {
    /// The answers are there.
    Now,
    /// The answers come later.
    Later(Later),
    /// The store failed.
    Failed(StoreError),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("Now"),
            Self::Later(_) => f.write_str("Later"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store can't keep a limit with this quota.
    #[error("limit `{limit}`: {error}")]
    Quota {
        /// The limit's name.
        limit: String,
        /// Why.
        error: QuotaError,
    },
    /// The store did not answer.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
}
