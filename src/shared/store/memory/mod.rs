//! The store of one process: the reference for all stores, and the local share of an outage.
//!
//! It is a sharded map of its own from subjects to the states of their limits, over the pure rules
//! of `algorithm/`. It is not built over `keyed/`, because a [`Keyed`](crate::Keyed) has one limit
//! for each key and a queue of those who wait there. A store needs the contrary: several limits of
//! different rules for each subject, all under one lock, and no queue, since those who wait do so
//! elsewhere. What it shares with `keyed/` is how full entries are evicted.
//!
//! `spaces.rs` knows the namespaces. `bucket.rs` is one limit of one subject, `party.rs` each verb
//! on one subject, and `several.rs` an ask over several. `buckets.rs` checks an ask and takes the
//! locks, `shard.rs` is what a lock protects, and `room.rs` bounds the number of subjects.

mod bucket;
mod buckets;
mod party;
mod room;
mod several;
mod shard;
mod spaces;

use std::fmt;
use std::sync::Arc;

pub use buckets::{MemoryBuckets, SubjectAsk};

use super::{Buckets, Namespace, OpenError, Store};
use crate::{Clock, CounterClock};
use buckets::Shards;

/// The most subjects, unless set otherwise.
const MAX_SUBJECTS: usize = 1_000_000;

/// A [`Store`] in the memory of this process.
///
/// Its answers define what the verbs mean: all other stores answer as it does, apart from what they
/// round. It is exact to the nanosecond, and all its asks are done at once.
///
/// * A clone is the same store.
/// * Memory is bounded: it holds at most [`max_subjects`](MemoryBuilder::max_subjects) subjects of
///   which something is in use. A subject whose buckets are full is not stored, and is evicted as
///   new subjects arrive. If there is no room for a new subject, its ask is
///   [refused](super::StoreError::Full).
/// * A window begins with the first charge after it was full.
///
/// ```
/// use tollgate::Quota;
/// use tollgate::shared::store::{Ask, Charge, LimitSpec, Memory, Namespace, Part, Rule, Verb};
///
/// let store = Memory::new();
/// let minute = LimitSpec::new("minute", Rule::TokenBucket, Quota::per_minute(60));
/// let day = LimitSpec::new("day", Rule::FixedWindow, Quota::per_day(1_000));
/// let buckets = store.buckets(&[Namespace::new("users", vec![minute, day])])?;
///
/// let part = Part::new(0, "alice", [Charge::new(1), Charge::new(1)]);
/// let answer = buckets.ask_now(&Ask::new(Verb::Take, 60, part))?;
/// let left: Vec<u64> = answer.levels.iter().map(|level| level.remaining).collect();
/// assert_eq!(left, [0, 940]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Memory<C = CounterClock> {
    shards: Arc<Shards>,
    clock: Arc<C>,
}

/// Builds a [`Memory`]; made by [`Memory::builder`].
#[derive(Debug)]
pub struct MemoryBuilder<C = CounterClock> {
    max_subjects: usize,
    clock: C,
}

impl Memory {
    /// An empty store for at most a million subjects, on the default clock.
    ///
    /// ```
    /// use tollgate::shared::store::Memory;
    /// assert_eq!(Memory::new().subjects(), 0);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts building a store with options.
    ///
    /// ```
    /// use tollgate::ManualClock;
    /// use tollgate::shared::store::Memory;
    /// let store = Memory::builder().max_subjects(10_000).clock(ManualClock::new()).build();
    /// ```
    #[must_use]
    pub fn builder() -> MemoryBuilder {
        MemoryBuilder { max_subjects: MAX_SUBJECTS, clock: CounterClock::default() }
    }
}

impl<C: Clock> MemoryBuilder<C> {
    /// The most subjects that are stored at the same time. The default is a million.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::store::{
    ///     Charge, LimitSpec, Memory, Namespace, Rule, StoreError, SubjectAsk, Verb,
    /// };
    /// let limit = LimitSpec::new("requests", Rule::TokenBucket, Quota::per_day(9));
    /// let users = Namespace::new("users", vec![limit]);
    /// let buckets = Memory::builder().max_subjects(1).build().buckets(&[users])?;
    /// let take = |user| buckets.ask_one(SubjectAsk::new(Verb::Take, 1, user, &[Charge::new(1)]));
    /// assert!(take("alice").is_ok());
    /// assert!(matches!(take("bob"), Err(StoreError::Full(_))));
    /// assert!(take("alice").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn max_subjects(self, max_subjects: usize) -> Self {
        Self { max_subjects, ..self }
    }

    /// Another clock, such as a [`ManualClock`](crate::ManualClock).
    ///
    /// ```
    /// use tollgate::ManualClock;
    /// use tollgate::shared::store::Memory;
    /// let clock = ManualClock::new();
    /// let store = Memory::builder().clock(clock.clone()).build();
    /// ```
    #[must_use]
    pub fn clock<D: Clock>(self, clock: D) -> MemoryBuilder<D> {
        MemoryBuilder { max_subjects: self.max_subjects, clock }
    }

    /// Builds the store.
    ///
    /// ```
    /// use tollgate::shared::store::Memory;
    /// let store = Memory::builder().build();
    /// ```
    #[must_use]
    pub fn build(self) -> Memory<C> {
        let (shards, clock) = (Shards::new(self.max_subjects), self.clock);
        Memory { shards: Arc::new(shards), clock: Arc::new(clock) }
    }
}

impl<C: Clock> Memory<C> {
    /// The buckets of these namespaces. Their methods answer at once, unlike those of the
    /// [`Buckets`] that [`open`](Store::open) returns.
    ///
    /// # Errors
    ///
    /// If a namespace or a quota is invalid, or a quota is unlimited.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::store::{LimitSpec, Memory, Namespace, Rule};
    /// let limit = |quota| LimitSpec::new("requests", Rule::SlidingWindow, quota);
    /// let users = |quota| [Namespace::new("users", vec![limit(quota)])];
    /// let store = Memory::new();
    /// assert!(store.buckets(&users(Quota::per_minute(60))).is_ok());
    /// assert!(store.buckets(&users(Quota::per_minute(60).burst(10))).is_err());
    /// assert!(store.buckets(&users(Quota::unlimited())).is_err());
    /// ```
    pub fn buckets(&self, namespaces: &[Namespace]) -> Result<MemoryBuckets<C>, OpenError> {
        let mut known = self.shards.spaces.lock();
        let spaces: Result<Vec<_>, _> = namespaces.iter().map(|it| known.open(it)).collect();
        Ok(MemoryBuckets::new(Arc::clone(&self.shards), Arc::clone(&self.clock), spaces?))
    }

    /// The number of subjects that are stored. Some of them may be full and not yet evicted.
    ///
    /// ```
    /// use tollgate::shared::store::Memory;
    /// assert_eq!(Memory::new().subjects(), 0);
    /// ```
    #[must_use]
    pub fn subjects(&self) -> usize {
        self.shards.len()
    }
}

impl<C: Clock> Store for Memory<C> {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        Ok(Arc::new(self.buckets(namespaces)?))
    }
}

impl<C> Clone for Memory<C> {
    fn clone(&self) -> Self {
        Self { shards: Arc::clone(&self.shards), clock: Arc::clone(&self.clock) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Memory<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Subjects are not printed: they may be secrets.
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
