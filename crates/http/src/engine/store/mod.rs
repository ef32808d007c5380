//! Where the buckets of a policy's limits live.
//!
//! The engine turns a request into charges and asks the [`Buckets`] of its policy. Memory answers
//! at once. A store that other processes share answers later, with a future.

mod memory;
#[cfg(feature = "shared")]
mod shared;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tollgate::{Quota, QuotaError};

pub(crate) use memory::EngineClock;
pub use memory::Memory;
#[cfg(feature = "shared")]
pub use shared::SharedStore;

use super::key::{Key, KeyParts};
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

impl LimitSpec {
    /// A limit that keeps a million keys, and lets further ones share a bucket: what a policy says
    /// that does not mention it. For the tests of a store; `quotas` is not empty.
    #[must_use]
    pub fn new(identity: Identity, quotas: Vec<Quota>) -> Self {
        Self { identity, quotas, max_keys: 1_000_000, when_full: WhenFull::Share }
    }
}

/// What makes two limits of two policies the same limit, whose levels a reload keeps.
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

impl Identity {
    /// The limit `name` with one bucket for each key of these parts, which cuts addresses as a
    /// policy does that does not mention it.
    #[must_use]
    pub fn new(name: &str, key: Vec<KeyPart>, algorithm: Algorithm) -> Self {
        Self { name: name.into(), key, algorithm, prefixes: Prefixes::default() }
    }
}

/// A store of buckets: [`Memory`], or one that several processes share.
///
/// A store of your own can also go around another one, here to count what it is asked:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tollgate_http::engine::Key;
/// use tollgate_http::engine::store::{
///     Buckets, Charge, LimitSpec, Memory, Reply, Store, StoreError, Verb,
/// };
/// use tollgate_http::{Facts, HttpLimiter, Policy};
///
/// #[derive(Default)]
/// struct Counting { inner: Memory, asked: Arc<AtomicUsize> }
///
/// struct CountingBuckets { inner: Arc<dyn Buckets>, asked: Arc<AtomicUsize> }
///
/// impl Store for Counting {
///     fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError> {
///         let (inner, asked) = (self.inner.open(limits)?, Arc::clone(&self.asked));
///         Ok(Arc::new(CountingBuckets { inner, asked }))
///     }
/// }
///
/// impl Buckets for CountingBuckets {
///     fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply {
///         self.asked.fetch_add(1, Ordering::Relaxed);
///         self.inner.ask(verb, charges)
///     }
///     fn keys(&self, limit: usize) -> usize {
///         self.inner.keys(limit)
///     }
///     fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)> {
///         self.inner.most_limited(limit, n)
///     }
/// }
///
/// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '9/s'".parse()?;
/// let store = Counting::default();
/// let asked = Arc::clone(&store.asked);
/// let limiter = HttpLimiter::builder(&policy).store(store).build()?;
/// limiter.decide(&Facts::new("GET", "/")).now().expect("memory answers at once");
/// assert_eq!(asked.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Store: Send + Sync + 'static {
    /// The buckets of a policy's limits. Limits that are the same as before keep their levels; a
    /// new quota carries the used share over.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit.
    fn open(&self, limits: &[LimitSpec]) -> Result<Arc<dyn Buckets>, StoreError>;

    /// The secret with which API keys and long values are hashed, if all users of the store must
    /// hash them alike. By default, each limiter has a random secret of its own.
    fn key_secret(&self) -> Option<[u8; 16]> {
        None
    }
}

/// The buckets of one policy's limits.
pub trait Buckets: Send + Sync + 'static {
    /// Does what `verb` says with `charges`. If the reply is [`Reply::Now`], each charge has its
    /// answer. If it is [`Reply::Later`], the future gives one answer for each charge. A store does
    /// what [`Verb::Credit`] and [`Verb::Consume`] say also if nobody awaits the future.
    fn ask(&self, verb: Verb, charges: &mut [Charge]) -> Reply;

    /// How many keys a limit holds, as far as it is known.
    fn keys(&self, limit: usize) -> usize;

    /// The keys that a limit has refused most, and how often, the most refused first; at most `n`.
    fn most_limited(&self, limit: usize, n: usize) -> Vec<(Key, u64)>;
}

/// What a store does with charges.
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

/// One limit's part in a request, and what the limit has answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Charge {
    /// The limit, by its index in the list with which the buckets were opened.
    pub limit: usize,
    /// Whose bucket.
    pub key: KeyParts,
    /// The quota, by its index in [`LimitSpec::quotas`].
    pub quota: usize,
    /// How many permits.
    pub cost: u64,
    /// Whether the limit only tells what it would refuse.
    pub shadow: bool,
    /// Whether the limit is the route's own, and not one of the limits of every request.
    pub(crate) own: bool,
    /// What the limit has answered.
    pub answer: Answer,
}

impl Charge {
    /// A charge of `cost` permits to a limit under its own quota, which enforces it.
    #[must_use]
    pub fn new(limit: usize, key: KeyParts, cost: u64) -> Self {
        let answer = Answer::UNLIMITED;
        Self { limit, key, quota: 0, cost, shadow: false, own: true, answer }
    }

    /// Whether the limit gets its permits back if the answer is not charged: if it is the route's
    /// own, and has given any. A shadow limit that would have refused has given none. (An enforced
    /// limit of a request that went on has given some, whatever it has answered since.)
    pub(crate) fn is_returnable(&self) -> bool {
        self.own && !(self.shadow && self.answer.refuses())
    }
}

/// What a limit answers to a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// Whether the limit lets the request pass.
    pub verdict: Verdict,
    /// Whole permits left; [`u64::MAX`] under an unlimited quota.
    pub remaining: u64,
    /// The time until the bucket is full.
    pub full_after: Duration,
    /// If the limit has refused [for a while](Verdict::Refused): the time until the request can
    /// pass. If it has not refused and nothing is left: the time until the next permit.
    pub wait: Duration,
}

/// Whether a limit lets a request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It does.
    Granted,
    /// It does not; the permits will be there later.
    Refused,
    /// It never does: the cost is above the burst.
    Never,
    /// It has no room for a new key.
    Full,
}

impl Answer {
    /// An answer, for a store that makes it from what another program says.
    #[must_use]
    pub fn new(verdict: Verdict, remaining: u64, full_after: Duration, wait: Duration) -> Self {
        Self { verdict, remaining, full_after, wait }
    }

    /// The answer under an unlimited quota.
    pub const UNLIMITED: Self = Self {
        verdict: Verdict::Granted,
        remaining: u64::MAX,
        full_after: Duration::ZERO,
        wait: Duration::ZERO,
    };

    /// Whether the limit has refused.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.verdict != Verdict::Granted
    }
}

/// The answers to so many charges, or the error that another number of answers is.
pub(crate) fn all_answers(
    answers: Result<Vec<Answer>, StoreError>,
    asked: usize,
) -> Result<Vec<Answer>, StoreError> {
    let answers = answers?;
    if answers.len() == asked {
        return Ok(answers);
    }
    let why = format!("{} answers to {asked} charges", answers.len());
    Err(StoreError::Unavailable(why))
}

/// Notes the answers that came later to `charges`.
pub(crate) fn note_answers(
    charges: &mut [Charge],
    answers: Result<Vec<Answer>, StoreError>,
) -> Result<(), StoreError> {
    let answers = all_answers(answers, charges.len())?;
    for (charge, answer) in charges.iter_mut().zip(answers) {
        charge.answer = answer;
    }
    Ok(())
}

/// Answers that come later: one for each charge, in their order.
///
/// # Cancel safety
///
/// If it is dropped, a store may still have done what it was asked.
pub type Later = Pin<Box<dyn Future<Output = Result<Vec<Answer>, StoreError>> + Send>>;

/// How a store answers.
#[must_use = "an answer that comes later has to be awaited"]
pub enum Reply {
    /// The charges have their answers.
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
    /// The store can't keep a limit.
    #[error("limit `{limit}`: {why}")]
    Unsupported {
        /// The limit's name.
        limit: String,
        /// Why, and what to use instead.
        why: String,
    },
    /// The key of a limit has parts that are hashed, and the processes that share the store have no
    /// common secret for that.
    #[error(
        "limit `{limit}`: parts of its key are hashed: give all processes the same secret with \
         `SharedStore::key_secret`"
    )]
    NeedsSecret {
        /// The limit's name.
        limit: String,
    },
    /// The store did not answer.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
}
