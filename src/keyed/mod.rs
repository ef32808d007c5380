//! Rate limits per key: one bucket for each user, address, API key or tenant.
//!
//! [`Keyed`] is the limiter, usually built through its alias [`KeyedLimiter`](crate::KeyedLimiter).
//! [`Terms`] say what applies to one key, and [`ForKey`] is one key as a [`RateLimiter`].

// How a request goes through this folder: a method in `api/` hashes the key, and `decide.rs` locks
// the key's shard. Without a global limit, `shard/fast_path.rs` decides most requests in place. In
// every other case `with_core.rs` finds the key, or gets the terms of an unknown key and a slot for
// it (`new_keys.rs`). Then `shard/with_core.rs` moves the key's state into a `Core`, the type that
// every limiter uses, runs the operation on it, and stores the state back. `for_key/` wraps one key
// as a `RateLimiter`, including its waits; `charge/` makes one key part of a decision over several
// limits; `change_terms.rs` changes what applies to a key.

mod api;
mod builder;
mod change_terms;
mod charge;
mod decide;
mod for_key;
mod hasher;
mod key;
mod max_keys;
mod new_keys;
mod search;
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
#[cfg(feature = "shared")]
pub(crate) use search::Search;
use shard::guard::ShardGuard;
#[cfg(feature = "shared")]
pub(crate) use shard::sweep::sweep;
use shard::{Call, Shard};
use terms::function::TermsFunction;
use terms::interner::TermsInterner;

/// The global limit, which all keys share. It can use any algorithm.
type Global<C> = Limiter<AnyRule, Arc<C>>;

/// A limiter with one bucket per key, using algorithm `A`. Most code uses the alias
/// [`KeyedLimiter`](crate::KeyedLimiter), which is a token bucket; for another algorithm write
/// `Keyed<String, StrictWindow>`, for example.
///
/// * A request for a known key takes one hash, one lock, one lookup and one decision, without an
///   allocation. A key is looked up by any borrowed form: `&str` for `String`.
/// * A full bucket holds no information, so idle keys are evicted incrementally as new keys arrive.
///   Memory use follows the number of keys active within one refill time. There is no background
///   thread and no timer.
/// * [`max_keys`](KeyedBuilder::max_keys) bounds memory under attack.
/// * A key can have its own [`Terms`], and all keys together can have a [global
///   limit](KeyedBuilder::global).
/// * [`for_key`](Self::for_key) returns one key as a [`RateLimiter`].
///
/// A key can be any type that hashes: strings, numbers, tuples, `IpAddr`. For IPv6, use the /64
/// prefix as the key: a client usually controls all 2⁶⁴ addresses of its prefix.
///
/// ```
/// use std::net::{IpAddr, Ipv6Addr};
/// use tollgate::{KeyedLimiter, Quota};
///
/// /// One key for all addresses of a client.
/// fn client(address: IpAddr) -> IpAddr {
///     match address.to_canonical() {
///         IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
///         v4 => v4,
///     }
/// }
///
/// let per_client = KeyedLimiter::<IpAddr>::new(Quota::per_hour(1))?;
/// assert!(per_client.allow(&client("2001:db8::1".parse()?)));
/// assert!(!per_client.allow(&client("2001:db8::ffff:2".parse()?))); // the same /64
/// assert!(per_client.allow(&client("::ffff:192.0.2.1".parse()?)));
/// assert!(!per_client.allow(&client("192.0.2.1".parse()?))); // the same address
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For several limits
/// per key, pass an [`AllOf`](crate::algorithm::AllOf) to
/// [`builder_from_algorithm`](Self::builder_from_algorithm); per-key quotas are then unavailable.
///
/// A key whose bucket is full starts fresh at its next request: its windows and refill intervals
/// begin at that moment, unless they are aligned to the clock.
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
    /// How many bits a hash is shifted right to get the index of its shard.
    shift: u32,
    hasher: S,
    clock: Arc<C>,
    settings: Settings,
    max_waiters: usize,
    /// Whether an unknown key can be inserted without further checks: there is no limit on the
    /// number of keys and no function that gives terms.
    inserts_freely: bool,
    /// Whether there is no global limit.
    no_global: bool,
    /// The limit that all keys share.
    global: Option<Global<C>>,
    key_limit: Option<KeyLimit<A>>,
    terms_function: TermsFunction<K>,
    terms: TermsInterner<A>,
    /// Unique to this limiter.
    number: u64,
    /// Held by operations that change all shards, one after another.
    changing: Mutex<()>,
}

type LockedShard<K, A> = CacheLine<Mutex<Shard<K, A>>>;

impl<K: Key, A: Algorithm + TryFrom<Quota, Error = QuotaError>> Keyed<K, A> {
    /// Creates a limiter that gives each key `quota`.
    ///
    /// # Errors
    ///
    /// When the quota is invalid or the algorithm does not support it.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// assert!(KeyedLimiter::<u64>::new(Quota::per_second(5)).is_ok());
    /// assert!(KeyedLimiter::<u64>::new(Quota::per_second(0)).is_err());
    /// ```
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        Self::builder(quota).build()
    }

    /// Starts building a limiter with options.
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
    /// Starts building a limiter that uses any algorithm.
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
    /// The limiter's clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// The global limit, if there is one. It is a limiter like any other.
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

    /// The shard for a hash. The shard's hash tables use the lowest bits and the top seven bits, so
    /// other bits select the shard.
    #[inline]
    fn shard(&self, hash: u64) -> &Mutex<Shard<K, A>> {
        let index = usize::try_from((hash << 7) >> self.shift).unwrap_or(0);
        // The shift leaves as many bits as the index needs; the mask lets the compiler drop the
        // bounds check.
        &self.shards[index & (self.shards.len() - 1)].0
    }

    /// A number that is unique among the shards of all limiters. There are at most 2¹⁶ shards per
    /// limiter.
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

    /// The current time, capped below the maximum, which means "never".
    #[inline]
    fn now(&self) -> Timestamp {
        self.clock.now().min(LAST)
    }

    /// Locks the shard for a hash.
    fn lock(&self, hash: u64) -> ShardGuard<'_, K, A> {
        self.locked(self.shard(hash).lock())
    }

    /// Wraps a locked shard so that the keys it gains and loses are counted.
    fn locked<'a>(&'a self, shard: MutexGuard<'a, Shard<K, A>>) -> ShardGuard<'a, K, A> {
        ShardGuard::new(shard, self.key_limit.as_ref())
    }
}

impl<K, A: Algorithm, C: Clock, S> fmt::Debug for Keyed<K, A, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are not printed: they may be secrets.
        f.debug_struct("Keyed").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}
