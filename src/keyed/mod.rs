//! A limit for each key: per user, address, API key, tenant.
//!
//! [`Keyed`] is what you build, mostly by its alias [`KeyedLimiter`](crate::KeyedLimiter); [`Terms`]
//! are what applies to one key, [`ForKey`] is one key as a limiter of its own.

// key       what a key is, and what it is looked up by
// terms     what applies to one key
// shard     some keys under one lock: where a key's state is, and how a verb gets at it
// quick     the hot path
// sweep     how full buckets vanish
// walk      what is done to all keys of a shard
// bound     at most so many keys
// refused   who is refused most
// cell      one key as a cell like any other: all verbs come from there
// view      one key as a limiter
// pair      waiting for a key's permits and for everybody's
// verbs     the verbs with the key as an argument
// apply     changing what applies to keys
// manage    listing keys, forgetting them, closing

mod apply;
mod bound;
mod builder;
mod cell;
mod key;
mod manage;
mod pair;
mod quick;
mod refused;
mod shard;
mod sweep;
mod terms;
mod verbs;
mod view;
mod walk;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

pub use apply::TermsError;
pub use bound::WhenFull;
pub use builder::Builder;
pub use key::{ByParts, Equivalent, Key, KeyRef, ToKey};
pub use manage::Totals;
pub use refused::Offender;
pub use terms::Terms;
pub use view::ForKey;

use crate::algorithm::{Algorithm, GreedyRefill};
use crate::bucket::core::Core;
use crate::bucket::gate::Settings;
use crate::sync::{Mutex, MutexGuard};
use crate::wait::queue::Wakers;
use crate::{Clock, MonotonicClock, Quota, QuotaError, Rejection, Timestamp, TokenBucket};
use bound::Bound;
use shard::{At, Basis, Call, Shard};
use terms::{Interner, Own};

/// The default hasher: fast, and seeded anew for each limiter.
///
/// An attacker who does not know the seed can't choose keys that collide. Against one who can
/// measure single decisions to the nanosecond, bring [`std::hash::RandomState`].
pub type RandomState = foldhash::fast::RandomState;

/// A limiter for each key, by rule `A`. You will mostly write its alias
/// [`KeyedLimiter`](crate::KeyedLimiter), whose rule is the token bucket; with another rule it is
/// `Keyed<String, StrictWindow>`.
///
/// * A known key costs one hash, one lock, one look-up, one decision, and no allocation. It is looked
///   up by anything it borrows as: `&str` for `String`.
/// * A full bucket is the same as none: keys that are not used vanish by themselves, bit by bit as
///   new ones come. Memory follows the keys active within one refill time. No thread, no timer.
/// * [`max_keys`](Builder::max_keys) bounds memory under attack.
/// * Keys can have [`Terms`] of their own, all keys together a limit
///   [for everybody](Builder::global).
/// * [`for_key`](Self::for_key) is one key as a [`RateLimiter`](crate::RateLimiter).
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
pub struct Keyed<K, A: Algorithm = GreedyRefill, C: Clock = MonotonicClock, S = RandomState> {
    shards: Box<[Line<K, A>]>,
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
    global: Option<TokenBucket<Arc<C>>>,
    bound: Option<Bound<A>>,
    terms_by: Option<TermsBy<K>>,
    terms: Interner<A>,
    /// Held while all shards are changed, one after another.
    changing: Mutex<()>,
}

type TermsBy<K> = Box<dyn Fn(&K) -> Terms + Send + Sync>;

/// A shard that starts on a cache line of its own.
#[repr(align(64))]
struct Line<K, A: Algorithm>(Mutex<Shard<K, A>>);

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
    pub fn builder(quota: Quota) -> Builder<K, A> {
        Builder::new(quota.try_into())
    }
}

impl<K: Key, A: Algorithm> Keyed<K, A> {
    /// A limiter by any rule, with options.
    ///
    /// ```
    /// use tollgate::algorithm::StrictWindow;
    /// use tollgate::{Keyed, Quota};
    /// let rule = StrictWindow::try_from(Quota::per_minute(60))?;
    /// let per_user = Keyed::<String, _>::builder_with(rule).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder_with(rule: A) -> Builder<K, A> {
        Builder::new(Ok(rule))
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
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_second(10))
    ///     .global(Quota::per_second(1_000))
    ///     .build()?;
    /// limiter.allow("alice");
    /// assert_eq!(limiter.global().map(|all| all.usage().remaining), Some(999));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn global(&self) -> Option<&TokenBucket<Arc<C>>> {
        self.global.as_ref()
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

    #[inline]
    fn call(&self, hash: u64, now: Timestamp) -> Call<'_, S> {
        let (max_waiters, newcomers) = (self.max_waiters, self.newcomers);
        Call { hash, now, hasher: &self.hasher, max_waiters, newcomers }
    }

    /// Lends the key's core to `verb`, and tells it the time and what applies to the key.
    fn with_core<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let call = self.call(hash, self.clock.now());
        let shard = self.shard(hash).lock();
        self.with_locked(shard, &call, key, verb)
    }

    /// The same with the key's shard, which is locked already.
    fn with_locked<'a, Q, R>(
        &'a self,
        mut shard: MutexGuard<'a, Shard<K, A>>,
        call: &Call<'_, S>,
        key: &Q,
        verb: impl FnOnce(&mut Core<A>, Timestamp, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
    {
        let (hash, now) = (call.hash, call.now);
        // Dropped after the lock is free.
        let mut wakers = Wakers::default();
        let mut at = shard.find(hash, key);
        let mut reserved = 0;
        if at.is_none() {
            at = Some(if call.newcomers {
                At::New(None)
            } else {
                drop(shard);
                // A user's function, and other shards' locks: not under this lock.
                let own = self.terms_of(key);
                let unlimited = own.as_ref().and_then(|own| own.rule.as_ref());
                let room = match unlimited.filter(|rule| rule.quota().is_unlimited()) {
                    // Always full: it takes no place.
                    Some(_) => Ok(false),
                    None => self.place_for(hash, now),
                };
                let refusal = own.as_ref().and_then(|own| own.terms.refusal());
                shard = self.shard(hash).lock();
                reserved = usize::from(room == Ok(true));
                match (shard.find(hash, key), room) {
                    (Some(at), _) => at,
                    (None, Ok(_)) => At::New(own),
                    (None, Err(_)) if shard.basis.closed => At::NoRoom(Rejection::Closed),
                    (None, Err(rejection)) => At::NoRoom(refusal.unwrap_or(rejection)),
                }
            });
        }
        let at = at.unwrap_or(At::New(None));
        if let At::NoRoom(Rejection::TooManyKeys { .. }) = at
            && let Some(overflow) = self.overflow()
        {
            drop(shard);
            let mut core = overflow.lock();
            let result = verb(&mut core, now, Terms::default(), &mut wakers);
            let counts = core.take_counts();
            drop(core);
            drop(wakers);
            self.shard(hash).lock().count(hash, key, counts, true);
            return result;
        }
        let before = shard.len();
        let result = shard
            .act(call, key, at, &mut wakers, |core, terms, wakers| verb(core, now, terms, wakers));
        self.settle(reserved, before, shard.len());
        drop(shard);
        drop(wakers);
        result
    }

    /// The bucket of those who found no room, if they share one.
    fn overflow(&self) -> Option<&Mutex<Core<A>>> {
        self.bound.as_ref()?.overflow.as_ref()
    }

    /// Counts what a shard came to hold, under its lock.
    fn settle(&self, reserved: usize, before: usize, after: usize) {
        if let Some(bound) = &self.bound {
            bound.settle(reserved, before, after);
        }
    }

    /// What applies to a key that is not known yet. Terms that can't be kept are logged, and those
    /// of everybody apply.
    fn terms_of<Q: KeyRef<K> + ?Sized>(&self, key: &Q) -> Own<A> {
        let terms_by = self.terms_by.as_ref()?;
        let terms = terms_by(&key.to_key());
        self.terms.apply(terms).unwrap_or_else(|error| {
            tracing::warn!(limiter = self.settings.name, %error, "terms of a key can't be kept");
            None
        })
    }

    /// Takes a place for a new key; whether one was counted.
    fn place_for(&self, hash: u64, now: Timestamp) -> Result<bool, Rejection> {
        let Some(bound) = &self.bound else { return Ok(false) };
        if bound.reserve() {
            return Ok(true);
        }
        // First where the key belongs: it may be there itself, grown idle.
        if self.make_room(self.shard(hash), now) && bound.reserve() {
            return Ok(true);
        }
        for _ in 0..sweep::OTHER_SHARDS {
            let Some(next) = bound.next_search(self.shards.len(), now) else { break };
            if self.make_room(&self.shards[next].0, now) && bound.reserve() {
                return Ok(true);
            }
        }
        Err(bound.rejection())
    }
}

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> Keyed<K, A, C, S> {
    /// Looks for full buckets in a part of a shard; whether any was there.
    fn make_room(&self, shard: &Mutex<Shard<K, A>>, now: Timestamp) -> bool {
        let mut shard = shard.lock();
        let before = shard.len();
        shard.latest = shard.latest.max(now);
        shard.sweep_some(sweep::A_LOT, &self.hasher);
        self.settle(0, before, shard.len());
        shard.len() < before
    }
}

impl<K, A: Algorithm, C: Clock, S> fmt::Debug for Keyed<K, A, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the keys: they may be secrets.
        f.debug_struct("Keyed").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

fn basis<A: Algorithm>(rule: A, now: Timestamp) -> Arc<Basis<A>> {
    Arc::new(Basis::new(rule, now, false))
}
