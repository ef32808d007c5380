//! The buckets of opened namespaces: what checks an ask, locks, and finds room.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use super::party::{Call, Party, no_answer};
use super::room::Room;
use super::several::{self, Parties};
use super::shard::{Shard, hash, is_idle};
use super::spaces::{Space, Spaces};
use crate::keyed::RandomState;
use crate::limiters::core::LAST;
use crate::shared::store::{Answer, Answers, Ask, Buckets, Charge, Part, StoreError, Verb};
use crate::sync::{CacheLine, Mutex, MutexGuard};
use crate::{Clock, CounterClock, Timestamp};

/// The most shards: enough that two threads rarely meet at a lock.
const SHARDS: usize = 128;
/// If there may be fewer subjects than this per shard, there are fewer shards.
const SUBJECTS_PER_SHARD: usize = 64;
/// The number of places that are searched in a shard if there is no room.
const SWEEP_WHEN_FULL: usize = 64;
/// How many shards are searched then.
const SEARCHED_SHARDS: usize = 4;

/// What all clones of a store share, apart from the clock.
pub(super) struct Shards {
    all: Box<[CacheLine<Mutex<Shard>>]>,
    /// How many bits a hash is shifted right to get the index of its shard.
    shift: u32,
    pub(super) hasher: RandomState,
    pub(super) room: Room,
    pub(super) spaces: Mutex<Spaces>,
}

/// Why an ask was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// A subject is new, and there is no room for it.
    NoRoom,
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Shards {
    pub(super) fn new(most_subjects: usize) -> Self {
        let shards = (most_subjects / SUBJECTS_PER_SHARD).clamp(1, SHARDS).next_power_of_two();
        Self {
            all: (0..shards).map(|_| CacheLine::default()).collect(),
            // With one shard, a shift by all 64 bits would overflow.
            shift: (u64::BITS - shards.trailing_zeros()).min(u64::BITS - 1),
            hasher: RandomState::default(),
            room: Room::new(most_subjects),
            spaces: Mutex::new(Spaces::default()),
        }
    }

    #[inline]
    pub(super) fn hash(&self, party: &Party<'_>) -> u64 {
        hash(&self.hasher, party.space.number, party.subject)
    }

    /// The index of the shard for a hash. The tables use the lowest bits and the top seven bits, so
    /// other bits select the shard.
    #[inline]
    pub(super) fn index_of(&self, hash: u64) -> usize {
        let index = usize::try_from((hash << 7) >> self.shift).unwrap_or(0);
        index & (self.all.len() - 1)
    }

    #[inline]
    pub(super) fn lock(&self, index: usize) -> MutexGuard<'_, Shard> {
        self.all[index].0.lock()
    }

    pub(super) fn len(&self) -> usize {
        self.all.iter().map(|shard| shard.0.lock().len()).sum()
    }

    /// Does what the call says with the only party of an ask.
    #[inline]
    fn execute_one(
        &self,
        party: &Party<'_>,
        call: Call,
        now: Timestamp,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        let hash = self.hash(party);
        let mut shard = self.lock(self.index_of(hash));
        let now = shard.advance(now);
        let Some(buckets) = shard.get_mut(hash, party) else {
            return self.execute_new(&mut shard, hash, party, call, now, answer);
        };
        party.execute(buckets, call, now, answer)?;
        if call.verb.gives() && is_idle(buckets, now) {
            shard.remove(hash, party, &self.room);
        }
        Ok(())
    }

    /// As [`execute_one`](Self::execute_one), with a subject of which nothing is known.
    fn execute_new(
        &self,
        shard: &mut Shard,
        hash: u64,
        party: &Party<'_>,
        call: Call,
        now: Timestamp,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        let mut buckets = party.full(now);
        party.execute(&mut buckets, call, now, answer)?;
        if !is_idle(&buckets, now) {
            if !self.room.reserve(1) {
                return Err(Failure::NoRoom);
            }
            shard.insert(hash, party, buckets, &self.hasher, &self.room);
        }
        Ok(())
    }

    /// Searches a few shards for full subjects. Returns whether any was evicted.
    #[cold]
    fn make_room(&self, now: Timestamp) -> bool {
        let mut found = false;
        for _ in 0..SEARCHED_SHARDS.min(self.all.len()) {
            let Some(next) = self.room.search.next(self.all.len(), now) else { break };
            let mut shard = self.lock(next);
            shard.advance(now);
            found |= shard.sweep(SWEEP_WHEN_FULL, &self.hasher, &self.room);
        }
        found
    }

    /// Makes the attempt, and once more if there was no room and some was found.
    #[inline]
    fn with_room(
        &self,
        now: Timestamp,
        attempt: impl Fn(&mut Answer) -> Result<(), Failure>,
    ) -> Result<Answer, StoreError> {
        // One variable from here to the caller: an answer is large, and this saves copies of it.
        let mut answer = Ok(no_answer());
        if let Ok(place) = &mut answer {
            match attempt(place) {
                Ok(()) => {}
                Err(Failure::Store(error)) => answer = Err(error),
                Err(Failure::NoRoom) => answer = self.with_more_room(now, attempt),
            }
        }
        answer
    }

    #[cold]
    fn with_more_room(
        &self,
        now: Timestamp,
        attempt: impl Fn(&mut Answer) -> Result<(), Failure>,
    ) -> Result<Answer, StoreError> {
        let mut answer = no_answer();
        if self.make_room(now) && attempt(&mut answer).is_ok() {
            return Ok(answer);
        }
        Err(StoreError::Full(format!(
            "it holds its most subjects already, {}: allow more with `max_subjects`",
            self.room.most()
        )))
    }
}

impl Verb {
    /// Whether the verb can make a bucket full.
    fn gives(self) -> bool {
        match self {
            Self::Credit | Self::HandBack | Self::Cancel | Self::Reset => true,
            Self::Take | Self::TakeUpTo | Self::Look | Self::Consume | Self::Raise => false,
        }
    }
}

/// The buckets of the namespaces with which a [`Memory`](super::Memory) was opened.
///
/// Besides what [`Buckets`] offers, it answers single asks at once.
pub struct MemoryBuckets<C = CounterClock> {
    shards: Arc<Shards>,
    clock: Arc<C>,
    spaces: Vec<Space>,
}

/// An ask of one subject that owns nothing: an [`Ask`] of one part that is enforced.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SubjectAsk<'a> {
    /// See [`Ask::verb`].
    pub verb: Verb,
    /// See [`Ask::count`].
    pub count: u64,
    /// See [`Part::namespace`].
    pub namespace: usize,
    /// See [`Part::subject`].
    pub subject: &'a str,
    /// See [`Part::charges`].
    pub charges: &'a [Charge],
    /// See [`Ask::patience`].
    pub patience: Duration,
}

impl<'a> SubjectAsk<'a> {
    /// An ask without patience, of the namespace that was opened first. Change the other fields as
    /// needed.
    #[must_use]
    pub fn new(verb: Verb, count: u64, subject: &'a str, charges: &'a [Charge]) -> Self {
        Self { verb, count, namespace: 0, subject, charges, patience: Duration::ZERO }
    }
}

impl<C: Clock> MemoryBuckets<C> {
    pub(super) fn new(shards: Arc<Shards>, clock: Arc<C>, spaces: Vec<Space>) -> Self {
        Self { shards, clock, spaces }
    }

    /// Answers an ask at once.
    ///
    /// The ask is never too late, so its [lifetime](Ask::lifetime) does not matter.
    ///
    /// # Errors
    ///
    /// [`StoreError::Misfit`] if the ask does not fit the namespaces, or if a debt could not be
    /// repaid within 584 years; [`StoreError::Full`] if a subject is new and there is no room
    /// for it. Then nothing has changed.
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::store::{Ask, Charge, LimitSpec, Memory, Namespace, Part, Rule, Verb};
    ///
    /// let requests = LimitSpec::new("requests", Rule::TokenBucket, Quota::per_hour(600));
    /// let users = Namespace::new("users", vec![requests]);
    /// let buckets = Memory::new().buckets(&[users])?;
    /// let part = Part::new(0, "alice", [Charge::new(1)]);
    /// let answer = buckets.ask_now(&Ask::new(Verb::Take, 100, part))?;
    /// assert_eq!(answer.levels[0].remaining, 500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ask_now(&self, ask: &Ask) -> Result<Answer, StoreError> {
        let Ask { verb, count, patience, .. } = *ask;
        let call = Call { verb, count, patience };
        match &*ask.parts {
            [] => Err(StoreError::Misfit("an ask has no parts")),
            [part] if !part.shadow => self.one(&self.party(part)?, call),
            parts => {
                let parties = parts.iter().map(|part| self.party(part));
                let parties: Parties<'_> = parties.collect::<Result<_, _>>()?;
                let now = self.now();
                self.shards.with_room(now, |answer| {
                    *answer = several::execute(&self.shards, &parties, call, now)?;
                    Ok(())
                })
            }
        }
    }

    /// Answers an ask of one subject at once, without an allocation if the subject is known.
    ///
    /// # Errors
    ///
    /// Those of [`ask_now`](Self::ask_now).
    ///
    /// ```
    /// use tollgate::Quota;
    /// use tollgate::shared::store::{
    ///     Charge, LimitSpec, Memory, Namespace, Outcome, Rule, SubjectAsk, Verb,
    /// };
    ///
    /// let requests = LimitSpec::new("requests", Rule::FixedWindow, Quota::per_day(1));
    /// let buckets = Memory::new().buckets(&[Namespace::new("users", vec![requests])])?;
    /// let take = |user| {
    ///     let answer = buckets.ask_one(SubjectAsk::new(Verb::Take, 1, user, &[Charge::new(1)]));
    ///     answer.map(|answer| answer.outcome != Outcome::Refused)
    /// };
    /// assert_eq!(take("alice"), Ok(true));
    /// assert_eq!(take("alice"), Ok(false));
    /// assert_eq!(take("bob"), Ok(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn ask_one(&self, ask: SubjectAsk<'_>) -> Result<Answer, StoreError> {
        let SubjectAsk { verb, count, namespace, subject, charges, patience } = ask;
        let party = Party::new(&self.spaces, namespace, subject, charges, false)?;
        self.one(&party, Call { verb, count, patience })
    }

    #[inline]
    fn party<'a>(&'a self, part: &'a Part) -> Result<Party<'a>, StoreError> {
        let Part { namespace, subject, charges, shadow } = part;
        Party::new(&self.spaces, *namespace, subject, charges, *shadow)
    }

    #[inline]
    fn one(&self, party: &Party<'_>, call: Call) -> Result<Answer, StoreError> {
        let now = self.now();
        let shards = &*self.shards;
        shards.with_room(now, |answer| shards.execute_one(party, call, now, answer))
    }

    /// The current time, below the time that means "never".
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock.now().min(LAST)
    }
}

impl<C: Clock> Buckets for MemoryBuckets<C> {
    /// Does all of it before it returns. The future is ready.
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        let answers = asks.iter().map(|ask| self.ask_now(ask)).collect();
        Box::pin(ready(answers))
    }
}

impl<C> fmt::Debug for MemoryBuckets<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Subjects are not printed: they may be secrets.
        f.debug_struct("MemoryBuckets").field("spaces", &self.spaces).finish_non_exhaustive()
    }
}
