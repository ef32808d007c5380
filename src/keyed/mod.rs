//! A limit for each key: per user, address, API key, tenant.
//!
//! [`Keyed`] is what you build, mostly by its alias [`KeyedLimiter`](crate::KeyedLimiter); [`Terms`]
//! are what applies to one key, [`ForKey`] is one key as a limiter of its own.

// key       what a key is, and what it is looked up by
// terms     what applies to one key
// tier      a quota that a request brings along
// interner  equal terms are kept once
// asked     the user's function that gives the terms
// hasher    the default one
// shard     some keys under one lock: where a key's state is
// lend      how a verb gets at a key's state, and where the state goes after that
// locked    a locked shard, and what is set right when it is unlocked
// quick     the hot path
// look      what a request would meet, with no change
// sweep     how full buckets vanish
// walk      what is done to all keys of a shard
// bound     at most so many keys
// refused   who is refused most
// cell      one key as a cell like any other: all verbs come from there
// view      one key as a limiter
// restore   one key as it was
// charge    one key's part in a decision over several limits
// pair      waiting for a key's permits and for everybody's
// verbs     the verbs with the key as an argument
// apply     changing what applies to keys
// manage    listing keys, forgetting them, closing

mod apply;
mod asked;
mod bound;
mod builder;
mod cell;
mod charge;
mod hasher;
mod interner;
mod key;
mod lend;
mod locked;
mod look;
mod manage;
mod pair;
mod quick;
mod refused;
mod restore;
mod shard;
mod sweep;
mod terms;
mod tier;
mod verbs;
mod view;
mod walk;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

pub use bound::WhenFull;
pub use builder::KeyedBuilder;
pub use charge::KeyCharge;
pub use hasher::{KeyHasher, RandomState};
pub use key::{ByParts, Equivalent, Key, KeyRef, ToKey};
pub use manage::Totals;
pub use refused::Offender;
pub use terms::Terms;
pub use tier::Tier;
pub use view::ForKey;

use crate::algorithm::{Algorithm, AnyRule, GreedyRefill};
use crate::bucket::core::{Core, LAST};
use crate::bucket::gate::{Need, Settings};
use crate::sync::{CacheLine, Mutex, MutexGuard};
use crate::wait::queue::Wakers;
use crate::{Clock, CounterClock, Limiter, Quota, QuotaError, RateLimiter, Rejection, Timestamp};
use asked::Asked;
use bound::{Bound, Reserved};
use interner::Interner;
use locked::Locked;
use shard::{At, Call, Shard};
use terms::Own;
use tier::Under;

/// The limit for everybody, by any rule.
type Global<C> = Limiter<AnyRule, Arc<C>>;

/// A limiter for each key, by rule `A`. You will mostly write its alias
/// [`KeyedLimiter`](crate::KeyedLimiter), whose rule is the token bucket; with another rule it is
/// `Keyed<String, StrictWindow>`.
///
/// * A known key costs one hash, one lock, one look-up, one decision, and no allocation. It is looked
///   up by anything it borrows as: `&str` for `String`.
/// * A full bucket is the same as none: keys that are not used vanish by themselves, bit by bit as
///   new ones come. Memory follows the keys active within one refill time. No thread, no timer.
/// * [`max_keys`](KeyedBuilder::max_keys) bounds memory under attack.
/// * Keys can have [`Terms`] of their own, all keys together a limit
///   [for everybody](KeyedBuilder::global).
/// * [`for_key`](Self::for_key) is one key as a [`RateLimiter`].
///
/// Keys are anything that hashes: strings, numbers, tuples, `IpAddr`. For IPv6, take the /64 prefix:
/// whoever has one address has 2⁶⁴ of them. Several limits a key are one rule:
/// [`builder_from_algorithm`](Self::builder_from_algorithm) an [`AllOf`](crate::algorithm::AllOf); it takes no quotas for
/// single keys.
///
/// A key whose bucket has become full starts anew when it is next used: windows and refill intervals
/// then begin at that moment, unless they are aligned to the clock.
///
/// ```
/// use tollgate::{KeyedLimiter, Quota};
///
/// let per_user = KeyedLimiter::<String>::new(Quota::per_minute(2))?;
/// assert!(per_user.allow("alice")); // no String is made for a known key
/// assert!(per_user.allow("alice"));
/// assert!(!per_user.allow("alice"));
/// assert!(per_user.allow("bob"));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
pub struct Keyed<K, A: Algorithm = GreedyRefill, C: Clock = CounterClock, S = RandomState> {
    shards: Box<[LockedShard<K, A>]>,
    /// Bits by which a hash is moved right to choose the shard.
    shift: u32,
    hasher: S,
    clock: Arc<C>,
    settings: Settings,
    max_waiters: usize,
    /// Whether a new key may come in just so: no bound, and nothing to ask about it.
    newcomers: bool,
    /// Whether there is no limit for everybody.
    alone: bool,
    /// For everybody together.
    global: Option<Global<C>>,
    bound: Option<Bound<A>>,
    asked: Asked<K>,
    terms: Interner<A>,
    /// No other limiter's.
    number: u64,
    /// Held while all shards are changed, one after another.
    changing: Mutex<()>,
}

type LockedShard<K, A> = CacheLine<Mutex<Shard<K, A>>>;

impl<K: Key, A: Algorithm + TryFrom<Quota, Error = QuotaError>> Keyed<K, A> {
    /// A limiter that gives each key `quota`.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// assert!(KeyedLimiter::<u64>::new(Quota::per_second(5)).is_ok());
    /// assert!(KeyedLimiter::<u64>::new(Quota::per_second(0)).is_err());
    /// ```
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        Self::builder(quota).build()
    }

    /// A limiter with options.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let per_user = KeyedLimiter::<String>::builder(Quota::per_minute(60))
    ///     .max_keys(1_000_000)
    ///     .build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder(quota: Quota) -> KeyedBuilder<K, A> {
        KeyedBuilder::new(quota.try_into())
    }
}

impl<K: Key, A: Algorithm> Keyed<K, A> {
    /// A limiter by any rule, with options.
    ///
    /// ```
    /// use tollgate::algorithm::StrictWindow;
    /// use tollgate::{Keyed, Quota};
    /// let rule = StrictWindow::try_from(Quota::per_minute(60))?;
    /// let per_user = Keyed::<String, _>::builder_from_algorithm(rule).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder_from_algorithm(rule: A) -> KeyedBuilder<K, A> {
        KeyedBuilder::new(Ok(rule))
    }
}

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> Keyed<K, A, C, S> {
    /// The clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// The limit for everybody together, if there is one: a limiter like any other.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, RateLimiter};
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_hour(10))
    ///     .global(Quota::per_hour(1_000))
    ///     .build()?;
    /// limiter.allow("alice");
    /// assert_eq!(limiter.global().map(|all| all.usage().remaining), Some(999));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn global(&self) -> Option<&dyn RateLimiter> {
        self.global.as_ref().map(|global| global as &dyn RateLimiter)
    }

    #[inline]
    fn hash<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The shard of a hash. Its table uses the lowest bits and the top seven, so others choose here.
    #[inline]
    fn shard(&self, hash: u64) -> &Mutex<Shard<K, A>> {
        let index = usize::try_from((hash << 7) >> self.shift).unwrap_or(0);
        // The index has as many bits as there are shards; the mask lets the compiler see that.
        &self.shards[index & (self.shards.len() - 1)].0
    }

    /// A number that no other shard of any limiter has. There are at most 2¹⁶ shards.
    #[inline]
    fn number_of(&self, hash: u64) -> u64 {
        let mask = self.shards.len() as u64 - 1;
        self.number << 16 | ((hash << 7) >> self.shift) & mask
    }

    #[inline]
    fn call(&self, hash: u64, now: Timestamp) -> Call<'_, S> {
        let (max_waiters, newcomers) = (self.max_waiters, self.newcomers);
        Call { hash, now, hasher: &self.hasher, max_waiters, newcomers }
    }

    /// The time, but for its very end, which means "never".
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock.now().min(LAST)
    }

    /// Locks the shard of a hash.
    fn lock(&self, hash: u64) -> Locked<'_, K, A> {
        self.locked(self.shard(hash).lock())
    }

    /// Has what a locked shard comes to hold counted.
    fn locked<'a>(&'a self, shard: MutexGuard<'a, Shard<K, A>>) -> Locked<'a, K, A> {
        Locked::new(shard, self.bound.as_ref())
    }

    /// Lends the key's core to `verb`, and tells it the time and what applies to the key.
    fn with_core<Q, R>(
        &self,
        need: Need,
        hash: u64,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let call = self.call(hash, self.now());
        self.with_locked(self.lock(hash), need, &call, key, Under::Last, verb)
    }

    /// The same with the key's shard, which is locked already.
    fn with_locked<'a, Q, R>(
        &'a self,
        mut shard: Locked<'a, K, A>,
        need: Need,
        call: &Call<'_, S>,
        key: &Q,
        under: Under<'_, A>,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (hash, now) = (call.hash, call.now);
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        let mut found = shard.find(hash, key);
        if let Some(At::Special(index)) = found {
            if shard.needs_place(index, now) {
                drop(shard);
                self.place_or_forget(hash, key);
                shard = self.lock(hash);
                found = shard.find(hash, key);
            }
        }
        let at = match found {
            Some(at) => at,
            // Full, and it stays so.
            None if call.newcomers || need == Need::Known => At::New(Own::default()),
            None => {
                drop(shard);
                let (at, reserved);
                (shard, at, reserved) = self.find_room(need, call, key, under);
                shard.adopt(reserved);
                at
            }
        };
        if let At::NoRoom(Rejection::TooManyKeys { .. }, own) = &at {
            if let Some(overflow) = self.overflow() {
                drop(shard);
                return self.with_shared(overflow, hash, key, |core, now, wakers| {
                    verb(core, now.max(core.latest()), own.terms(), wakers)
                });
            }
        }
        let at = shard.go_under(call, key, at, under, &mut self.sync(), &mut wakers);
        let result = shard.act(call, key, at, &mut wakers, |core, terms, wakers| {
            // The latest time that was seen, also for the limit for everybody.
            let now = now.max(core.latest());
            self.refresh_set_aside(core, now, wakers);
            verb(core, now, terms, wakers)
        });
        let unplaced = shard.take_unplaced();
        drop(shard);
        drop(wakers);
        if unplaced {
            self.place_or_forget(hash, key);
        }
        result
    }

    /// Lends the core of the bucket that is shared by keys without room; what `verb` allows and
    /// refuses is counted for `key`.
    fn with_shared<Q: KeyRef<K> + ?Sized, R>(
        &self,
        shared: &Mutex<Core<A>>,
        hash: u64,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        let now = self.now();
        let mut core = shared.lock();
        self.refresh_set_aside(&mut core, now, &mut wakers);
        let result = verb(&mut core, now, &mut wakers);
        let (limited, counts) = (!core.is_shut(), core.take_counts());
        drop(core);
        drop(wakers);
        self.shard(hash).lock().count(hash, key, counts, limited);
        result
    }

    /// Has what is set aside for those who wait for everybody's limit count as in use now.
    fn refresh_set_aside(&self, core: &mut Core<A>, now: Timestamp, wakers: &mut Wakers) {
        if let Some(global) = self.global.as_ref().filter(|_| core.has_set_aside()) {
            global.lend(wakers, |all, wakers| core.refresh_beside(all, now, wakers));
        }
    }

    /// The same before and after a change, which ends the waits for everybody's limit that it has made hopeless.
    fn sync(&self) -> impl FnMut(&mut Core<A>, Timestamp, &mut Wakers) + '_ {
        |core, now, wakers| {
            if let Some(global) = self.global.as_ref().filter(|_| core.has_set_aside()) {
                global.lend(wakers, |all, wakers| core.end_hopeless_beside(all, now, wakers));
            }
        }
    }

    /// A key that did not count against the bound, because its terms were set by hand, is to count
    /// from now on. If there is no room for it, it is forgotten: the bound holds.
    fn place_or_forget<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) {
        let now = self.now();
        let place = self.place_for(Need::Place, hash, now);
        let mut shard = self.lock(hash);
        let Some(At::Special(index)) = shard.find(hash, key) else { return };
        if !shard.needs_place(index, now) {
            return;
        }
        let gone = match place {
            Ok(reserved) => {
                shard.count_special(index);
                shard.adopt(reserved);
                None
            }
            Err(_) => shard.remove_special(index),
        };
        drop(shard);
        drop(gone);
    }

    /// Where a key is, or shall be, that was not known a moment ago: with its shard locked, and the
    /// place that was reserved for it.
    fn find_room<Q>(
        &self,
        need: Need,
        call: &Call<'_, S>,
        key: &Q,
        under: Under<'_, A>,
    ) -> (Locked<'_, K, A>, At<A>, Reserved<'_, A>)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (hash, now) = (call.hash, call.now);
        let mut tries = self.asked.tries();
        loop {
            // A user's function, and other shards' locks: not under this lock.
            let version = self.asked.version(hash);
            let own = self.terms_of(hash, key).under(under);
            let room = match own.rule().filter(|rule| rule.quota().is_unlimited()) {
                // Always full: it takes no place.
                Some(_) => Ok(Reserved::NONE),
                None => self.place_for(need, hash, now),
            };
            let refusal = own.refusal(now);
            let shard = self.lock(hash);
            tries -= 1;
            if version != self.asked.version(hash) && tries > 0 {
                // Its terms may be others by now, and whoever changed them did not see it.
                continue;
            }
            return match (shard.find(hash, key), room) {
                (Some(at), room) => (shard, at, room.unwrap_or(Reserved::NONE)),
                (None, Ok(reserved)) => (shard, At::New(own), reserved),
                (None, Err(rejection)) => {
                    let closed = shard.basis.closed.then_some(Rejection::Closed);
                    let why = closed.or(refusal).unwrap_or(rejection);
                    (shard, At::NoRoom(why, own), Reserved::NONE)
                }
            };
        }
    }

    /// What a key meets for which there is no room.
    fn bound_rejection(&self) -> Rejection {
        self.bound.as_ref().map_or(Rejection::TooManyKeys { max_keys: 0 }, Bound::rejection)
    }

    /// The bucket of those who found no room, if they share one.
    fn overflow(&self) -> Option<&Mutex<Core<A>>> {
        self.bound.as_ref()?.overflow.as_ref()
    }

    /// What applies to a key that is not known yet. With terms that can't be kept, the key is
    /// blocked: a limit that was meant must not turn into a larger one.
    fn terms_of<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Own<A> {
        let applied = match self.asked.ask(|| key.to_key()) {
            Some(terms) => self.terms.apply(hash, terms).map_err(Some),
            None => Err(None),
        };
        applied.unwrap_or_else(|error| {
            let limiter = &self.settings.name;
            if let Some(error) = error {
                crate::events::warn!(limiter, %error, "terms of a key can't be kept: it is blocked");
            } else {
                crate::events::warn!(
                    limiter,
                    "the function that gives terms asks itself without end: the key is blocked"
                );
            }
            // Without a quota, there is nothing that can't be kept.
            self.terms.apply(hash, Terms::unusable()).unwrap_or_default()
        })
    }

    /// Takes a place for a new key, or just looks for one.
    fn place_for(
        &self,
        need: Need,
        hash: u64,
        now: Timestamp,
    ) -> Result<Reserved<'_, A>, Rejection> {
        let Some(bound) = &self.bound else { return Ok(Reserved::NONE) };
        let place = || match need {
            Need::Place => bound.reserve(),
            Need::Look | Need::Known => bound.has_room().then_some(Reserved::NONE),
        };
        if let Some(place) = place() {
            return Ok(place);
        }
        // First where the key belongs: it may be there itself, grown idle.
        if self.make_room(self.shard(hash), now) {
            if let Some(place) = place() {
                return Ok(place);
            }
        }
        for _ in 0..sweep::OTHER_SHARDS {
            let Some(next) = bound.next_search(self.shards.len(), now) else { break };
            if self.make_room(&self.shards[next].0, now) {
                if let Some(place) = place() {
                    return Ok(place);
                }
            }
        }
        Err(bound.rejection())
    }

    /// Looks for full buckets in a part of a shard; whether any was there.
    fn make_room(&self, shard: &Mutex<Shard<K, A>>, now: Timestamp) -> bool {
        let mut shard = self.locked(shard.lock());
        let before = shard.bounded();
        shard.latest = shard.latest.max(now);
        shard.sweep_some(sweep::A_LOT, &self.hasher);
        shard.bounded() < before
    }
}

impl<K, A: Algorithm, C: Clock, S> fmt::Debug for Keyed<K, A, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the keys: they may be secrets.
        f.debug_struct("Keyed").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
