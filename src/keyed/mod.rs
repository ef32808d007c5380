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

mod api;

mod builder;
mod change_terms;
mod charge;
mod decide;
mod for_key;
mod hasher;
mod max_keys;

mod key;
mod new_keys;
mod shard;
mod terms;
mod tier;
mod with_core;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

pub use api::Totals;
pub use builder::KeyedBuilder;
pub use charge::KeyCharge;
pub use for_key::ForKey;
pub use hasher::{KeyHasher, RandomState};
pub use key::{ByParts, Equivalent, Key, KeyRef, ToKey};
pub use max_keys::WhenFull;
pub use shard::Offender;
pub use terms::Terms;
pub use tier::Tier;

use crate::algorithm::{Algorithm, AnyRule, GreedyRefill};
use crate::limiters::core::LAST;
use crate::limiters::verbs::Settings;
use crate::sync::{CacheLine, Mutex, MutexGuard};
use crate::{Clock, CounterClock, Limiter, Quota, QuotaError, RateLimiter, Timestamp};
use max_keys::KeyLimit;
use shard::guard::ShardGuard;
use shard::{Call, Shard};
use terms::function::TermsFunction;
use terms::interner::TermsInterner;

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
    inserts_freely: bool,
    /// Whether there is no limit for everybody.
    no_global: bool,
    /// For everybody together.
    global: Option<Global<C>>,
    key_limit: Option<KeyLimit<A>>,
    terms_function: TermsFunction<K>,
    terms: TermsInterner<A>,
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
        let (max_waiters, inserts_freely) = (self.max_waiters, self.inserts_freely);
        Call { hash, now, hasher: &self.hasher, max_waiters, inserts_freely }
    }

    /// The time, but for its very end, which means "never".
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock.now().min(LAST)
    }

    /// Locks the shard of a hash.
    fn lock(&self, hash: u64) -> ShardGuard<'_, K, A> {
        self.locked(self.shard(hash).lock())
    }

    /// Has what a locked shard comes to hold counted.
    fn locked<'a>(&'a self, shard: MutexGuard<'a, Shard<K, A>>) -> ShardGuard<'a, K, A> {
        ShardGuard::new(shard, self.key_limit.as_ref())
    }
}

impl<K, A: Algorithm, C: Clock, S> fmt::Debug for Keyed<K, A, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the keys: they may be secrets.
        f.debug_struct("Keyed").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
