//! One key's part in a decision over several limits.

mod find;
mod key_steps;
mod look;
mod party;
mod work;

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::hash::BuildHasher;

use super::Keyed;
use super::hasher::RandomState;
use super::key::{Key, KeyRef};
use super::tier::{Tier, Under};
use crate::algorithm::{Algorithm, GreedyRefill};
use crate::keyed::shard::fast_path::Outcome;
use crate::limiters::charge::LOCK as GLOBAL_LOCK;
use crate::limiters::core::{grant_of, refusal_of};
use crate::{Answer, Charge, Clock, CounterClock, Grant, Rejection, Timestamp};
use work::Work;

/// The locks that a charge takes: that of the key's shard, and that of the overflow bucket.
const KEY_LOCK: u8 = 0;
const OVERFLOW_LOCK: u8 = 1;

/// A request for one key, as part of a decision over several limits; returned by [`Keyed::charge`].
///
/// A charge takes the permits that one request of the key [costs](super::Terms::cost), multiplied
/// by [`cost`](Self::cost). [`under`](Self::under) applies a [`Tier`].
///
/// ```
/// use tollgate::{Answer, KeyedLimiter, Quota, take_all};
/// let per_address = KeyedLimiter::<u32>::new(Quota::per_hour(2))?;
/// let per_user = KeyedLimiter::<String>::new(Quota::per_hour(9))?;
/// let mut by_address = per_address.charge(&7);
/// let mut by_user = per_user.charge("alice").cost(4);
/// assert!(take_all(&mut [&mut by_address, &mut by_user]));
/// assert_eq!(by_user.answer().remaining(), Some(5));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "a charge does nothing until it is decided"]
pub struct KeyCharge<'a, K, Q, A = GreedyRefill, C = CounterClock, S = RandomState>
where
    A: Algorithm,
    C: Clock,
    Q: ?Sized,
{
    limiter: &'a Keyed<K, A, C, S>,
    key: &'a Q,
    hash: u64,
    requests: u64,
    tier: Option<&'a Tier<A>>,
    answer: Cell<Answer>,
    /// The key's state after a fast decision; the answer is computed from it when it is requested.
    after: Cell<Option<After<A>>>,
    work: RefCell<Option<Work<'a, A>>>,
}

/// The result of a fast decision.
struct After<A: Algorithm> {
    state: A::State,
    now: Timestamp,
}

impl<K, A, C, S> Keyed<K, A, C, S>
where
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Creates a request for `key`, to be decided together with other limits or under a [`Tier`];
    /// see [`take_all`](crate::take_all). Costs one hash and takes no permits by itself.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(1_000))?;
    /// assert!(per_user.charge("alice").cost(11).under(&gold).allow());
    /// assert!(!per_user.charge("bob").cost(11).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[inline]
    pub fn charge<'a, Q: KeyRef<K> + ?Sized>(&'a self, key: &'a Q) -> KeyCharge<'a, K, Q, A, C, S> {
        KeyCharge {
            limiter: self,
            key,
            hash: self.hash(key),
            requests: 1,
            tier: None,
            answer: Cell::new(Answer::Undecided),
            after: Cell::new(None),
            work: RefCell::new(None),
        }
    }

    /// As [`decide`](Self::decide), under `tier`; `granted` and `slow` make the answer.
    fn decide_under<Q, R>(
        &self,
        tier: &Tier<A>,
        hash: u64,
        key: &Q,
        requests: u64,
        granted: impl Fn(&A, &A::State, Timestamp, u64) -> R,
        slow: impl FnOnce(Grant) -> R,
    ) -> Result<R, Rejection>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let now = self.now();
        let mut shard = self.shard(hash).lock();
        if self.no_global {
            let (granted, refused) = (&granted, refusal_of);
            match shard.try_take_in_tier(&tier.0, hash, key, now, requests, granted, refused) {
                Outcome::Yes(answer) => return Ok(answer),
                Outcome::No(rejection) => return Err(rejection),
                Outcome::Undecided | Outcome::NotPlain => {}
            }
        }
        let (shard, call) = (self.locked(shard), self.call(hash, now));
        self.decide_slowly(shard, &call, key, requests, Under::Tier(tier)).map(slow)
    }
}

impl<'a, K, Q, A, C, S> KeyCharge<'a, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Multiplies the cost of the request by `requests`. Default: 1.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// assert!(per_user.charge(&7).cost(10).allow());
    /// assert!(!per_user.allow(&7));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn cost(mut self, requests: u64) -> Self {
        self.requests = requests;
        self
    }

    /// Applies `tier`: its quota replaces the limiter's own for this request.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let free = per_user.tier(Quota::per_minute(2))?;
    /// assert!(!per_user.charge(&7).cost(3).under(&free).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn under(mut self, tier: &'a Tier<A>) -> Self {
        self.tier = Some(tier);
        self
    }

    /// The limiter's answer in the last decision.
    pub fn answer(&self) -> Answer {
        self.computed_answer()
    }

    /// Decides this charge alone, as [`Keyed::allow_n`] does, under the charge's tier.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(100))?;
    /// assert!(per_user.charge(&7).cost(50).under(&gold).allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "whether the permits were taken"]
    pub fn allow(&self) -> bool {
        let (limiter, requests) = (self.limiter, self.requests);
        let Some(tier) = self.tier else { return limiter.decide(self.hash, self.key, requests) };
        let (granted, slow) = (|_: &A, _: &A::State, _, _| (), |_| ());
        let passes =
            limiter.decide_under(tier, self.hash, self.key, requests, granted, slow).is_ok();
        if !passes {
            limiter.log_refusal(requests);
        }
        passes
    }

    /// Decides this charge alone, as [`Keyed::try_acquire`] does, under the charge's tier.
    ///
    /// # Errors
    ///
    /// As [`Keyed::try_acquire`].
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_minute(10))?;
    /// let gold = per_user.tier(Quota::per_minute(100))?;
    /// assert_eq!(per_user.charge(&7).under(&gold).try_acquire()?.remaining, 99);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Grant, Rejection> {
        let (limiter, requests) = (self.limiter, self.requests);
        let Some(tier) = self.tier else {
            return limiter.acquire_both(self.hash, self.key, requests);
        };
        let answer =
            limiter.decide_under(tier, self.hash, self.key, requests, grant_of, |grant| grant);
        if let Err(rejection) = &answer {
            crate::events::debug!(limiter = limiter.settings.name, requests, %rejection, "refused");
        }
        answer
    }

    /// The working data of the current decision.
    fn work(&self) -> RefMut<'_, Work<'a, A>> {
        RefMut::map(self.work.borrow_mut(), |work| work.get_or_insert_with(Work::new))
    }

    /// The answer, computed now if the decision was a fast one.
    fn computed_answer(&self) -> Answer {
        if let Some(After { state, now }) = self.after.take() {
            // A fast decision uses the algorithm of the tier, or the one that the limiter was built
            // with.
            let built = self.limiter.terms.template();
            let rule = self.tier.map_or(built, |tier| tier.0.rule_or(built));
            self.answer.set(Answer::Taken(grant_of(rule, &state, now, self.requests)));
        }
        self.answer.get()
    }
}

impl<K, Q, A, C, S> fmt::Debug for KeyCharge<'_, K, Q, A, C, S>
where
    A: Algorithm,
    C: Clock,
    Q: ?Sized,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is not printed: it may be a secret.
        let mut debug = f.debug_struct("KeyCharge");
        debug.field("requests", &self.requests).field("tier", &self.tier).finish_non_exhaustive()
    }
}

impl<K, Q, A, C, S> Charge for KeyCharge<'_, K, Q, A, C, S>
where
    Q: KeyRef<K> + ?Sized,
    K: Key,
    A: Algorithm,
    C: Clock,
    S: BuildHasher + Send + Sync + 'static,
{
    fn answer(&self) -> Answer {
        self.computed_answer()
    }
}
