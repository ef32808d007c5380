//! The builder of a keyed limiter.

mod build;

use std::hash::BuildHasher;
use std::marker::PhantomData;

use super::terms::function::TermsBy;
use super::{Key, RandomState, Terms, WhenFull};
use crate::algorithm::{Algorithm, AnyRule, GreedyRefill};
use crate::limiters::verbs::Settings;
use crate::{Clock, CounterClock, Jitter, Quota, QuotaError};

/// Collects the options of a keyed limiter; [`build`](Self::build) creates it.
///
/// ```
/// use tollgate::keyed::{Terms, WhenFull};
/// use tollgate::{KeyedLimiter, ManualClock, Quota};
///
/// let limiter = KeyedLimiter::<String>::builder(Quota::per_minute(60).burst(10))
///     .name("api")
///     .clock(ManualClock::new())
///     .global(Quota::per_second(1_000))
///     .terms_by(|key: &String| if key == "health" { Terms::exempt() } else { Terms::default() })
///     .max_keys(1_000_000)
///     .when_full(WhenFull::Share)
///     .max_waiters(100)
///     .build()?;
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "nothing is built before `build`"]
pub struct KeyedBuilder<K, A: Algorithm, C: Clock = CounterClock, S = RandomState> {
    rule: Result<A, QuotaError>,
    clock: C,
    hasher: S,
    settings: Settings,
    max_waiters: usize,
    global: Option<Result<AnyRule, QuotaError>>,
    shards: Option<usize>,
    capacity: usize,
    max_keys: Option<usize>,
    when_full: WhenFull,
    terms_by: Option<TermsBy<K>>,
    keys: PhantomData<fn(K)>,
}

impl<K: Key, A: Algorithm> KeyedBuilder<K, A> {
    pub(crate) fn new(rule: Result<A, QuotaError>) -> Self {
        Self {
            rule,
            clock: CounterClock::new(),
            hasher: RandomState::default(),
            settings: Settings::default(),
            max_waiters: usize::MAX,
            global: None,
            shards: None,
            capacity: 0,
            max_keys: None,
            when_full: WhenFull::default(),
            terms_by: None,
            keys: PhantomData,
        }
    }
}

impl<K: Key, A: Algorithm, C: Clock, S: BuildHasher> KeyedBuilder<K, A, C, S> {
    /// Sets the clock. Default: [`CounterClock`].
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> KeyedBuilder<K, A, D, S> {
        self.with(|_, hasher| (clock, hasher))
    }

    /// Sets the hasher. Default: [`RandomState`], which resists callers who choose keys that
    /// collide.
    ///
    /// If untrusted clients cannot choose the keys, a hasher without that resistance, such as
    /// `foldhash::fast::RandomState` from the crate `foldhash`, saves a few nanoseconds per
    /// decision. With a hasher that is not randomly seeded, whoever chooses the keys can put all of
    /// them into one shard. A hasher that leaves the upper half of a hash empty, such as the
    /// identity function, puts all keys into one shard in any case.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let builder = KeyedLimiter::<String>::builder(Quota::per_second(1))
    ///     .hasher(std::hash::RandomState::new());
    /// ```
    pub fn hasher<T: BuildHasher>(self, hasher: T) -> KeyedBuilder<K, A, C, T> {
        self.with(|clock, _| (clock, hasher))
    }

    fn with<D: Clock, T>(self, change: impl FnOnce(C, S) -> (D, T)) -> KeyedBuilder<K, A, D, T> {
        let (clock, hasher) = change(self.clock, self.hasher);
        KeyedBuilder {
            rule: self.rule,
            clock,
            hasher,
            settings: self.settings,
            max_waiters: self.max_waiters,
            global: self.global,
            shards: self.shards,
            capacity: self.capacity,
            max_keys: self.max_keys,
            when_full: self.when_full,
            terms_by: self.terms_by,
            keys: PhantomData,
        }
    }

    /// Adds a global limit, shared by all keys: a request passes only if both its key and the
    /// global limit allow it. If either refuses, nothing is taken from the other. A refusal by the
    /// global limit is marked as [global](crate::Rejection::is_global).
    ///
    /// A waiter first queues on its key and then on the global limit, so a long queue on one key
    /// does not hold up other keys. While it waits for the global limit, its key's permits count as
    /// in use. So at most a burst's worth of one key's waiters are in the second queue at once, and
    /// neither a key nor the global limit is ever exceeded. Waiters of one key get the key's
    /// permits in order of arrival. The order in the second queue is the order in which waiters
    /// noticed that they have their key's permits: two waiters that got them within a timer's
    /// lateness of each other may swap.
    ///
    /// A reservation that is not granted at once is in both queues from the start, and counts at
    /// each limit from the time at which that limit alone would serve it. If one limit would serve
    /// it earlier than the other, other callers can use permits of that limit that are refilled in
    /// between; the limit can then be exceeded by the reservation's permits when the reservation is
    /// used. Use a wait where that matters.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_hour(10))
    ///     .global(Quota::per_hour(2))
    ///     .build()?;
    /// assert!(limiter.allow("alice") && limiter.allow("bob"));
    /// assert!(limiter.try_acquire("carol", 1).unwrap_err().is_global());
    /// assert_eq!(limiter.usage("carol").used, 0);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn global(mut self, quota: Quota) -> Self {
        self.global = Some(GreedyRefill::try_from(quota).map(AnyRule::new));
        self
    }

    /// As [`global`](Self::global), with any algorithm.
    ///
    /// ```
    /// use tollgate::algorithm::StrictWindow;
    /// use tollgate::{KeyedLimiter, Quota};
    /// // 40 a second for each, and never more than 50 in any second for all together.
    /// let limiter = KeyedLimiter::<String>::builder(Quota::per_second(40))
    ///     .global_algorithm(StrictWindow::try_from(Quota::per_second(50))?)
    ///     .build()?;
    /// assert!(limiter.allow_n("alice", 40));
    /// assert!(limiter.allow_n("bob", 10));
    /// assert!(!limiter.allow("bob"));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn global_algorithm(mut self, rule: impl Algorithm) -> Self {
        self.global = Some(Ok(AnyRule::new(rule)));
        self
    }

    /// Sets a function that gives the [`Terms`], or just the [`Quota`], of each key.
    ///
    /// The function is called when a request comes for a key that the limiter does not hold. That
    /// includes a key that returns after its bucket was full and evicted, and every request of an
    /// exempt or unlimited key, because such keys are not held. So the function should be fast: a
    /// map lookup, not a database query. When its results have changed, call
    /// [`refresh_terms`](super::Keyed::refresh_terms).
    ///
    /// If the function returns an invalid or unsupported quota, such as one of zero, **the key is
    /// blocked**: its requests are rejected with [`Rejection::Blocked`](crate::Rejection::Blocked),
    /// and every call of the function logs the reason in a tracing event of level `WARN`. Check
    /// quotas that come from a configuration with [`Quota::validate`]. The block of one key is
    /// ended by [`set_quota_for`](super::Keyed::set_quota_for) or
    /// [`unblock`](super::Keyed::unblock).
    ///
    /// The function runs without any lock held and may use the limiter. If it calls itself that
    /// way, the key is blocked at a depth of eight. If the function itself refreshes the terms, it
    /// is called once more, and not again after that.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    ///
    /// let tiers = KeyedLimiter::<String>::builder(Quota::per_minute(10))
    ///     .terms_by(|user: &String| Quota::per_minute(if user == "root" { 1_000 } else { 10 }))
    ///     .build()?;
    /// assert_eq!(tiers.usage("root").limit, 1_000);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn terms_by<T: Into<Terms>>(
        mut self,
        terms: impl Fn(&K) -> T + Send + Sync + 'static,
    ) -> Self {
        self.terms_by = Some(Box::new(move |key| terms(key).into()));
        self
    }

    /// Sets a function that gives the quota of each key; a shorthand for
    /// [`terms_by`](Self::terms_by).
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    ///
    /// let tiers = KeyedLimiter::<String>::builder(Quota::per_minute(10))
    ///     .quota_by(|user| Quota::per_minute(if user == "root" { 1_000 } else { 10 }))
    ///     .build()?;
    /// assert_eq!(tiers.usage("root").limit, 1_000);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn quota_by(self, quota: impl Fn(&K) -> Quota + Send + Sync + 'static) -> Self {
        self.terms_by(quota)
    }

    /// Sets the maximum number of keys held at once, at least 1. Default: unlimited.
    /// [`when_full`](Self::when_full) says what happens to further keys. [`build`](Self::build)
    /// refuses 0.
    ///
    /// Only keys whose bucket is not full need a slot: a key that has been idle for one refill time
    /// does not occupy one for long. While a flood of invented keys occupies all slots, known keys
    /// are unaffected, but new keys, and keys that return after their bucket was full, are rejected
    /// or share one bucket. Answer a rejection with 503 rather than 429: it is not that client's
    /// fault.
    ///
    /// Two kinds of keys do not count, so [`len`](super::Keyed::len) can exceed `max_keys` by their
    /// number: keys whose terms were set explicitly, and keys that
    /// [`block_for`](super::Keyed::block_for) blocked while they were not held. So any key can be
    /// blocked, exempted or upgraded even if all slots are taken. When its terms are cleared or its
    /// block ends, the key counts again or, if there is no free slot, is evicted. If someone waits
    /// on it then, it stays, uncounted, until that wait ends.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, Rejection};
    /// let limiter = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(2).build()?;
    /// assert!(limiter.allow(&1) && limiter.allow(&2));
    /// assert_eq!(limiter.try_acquire(&3, 1), Err(Rejection::TooManyKeys { max_keys: 2 }));
    /// assert!(limiter.allow(&1));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn max_keys(mut self, max_keys: usize) -> Self {
        self.max_keys = Some(max_keys);
        self
    }

    /// Says what happens to a new key when [`max_keys`](Self::max_keys) keys are held. Default:
    /// [`WhenFull::Deny`].
    ///
    /// ```
    /// use tollgate::keyed::WhenFull;
    /// use tollgate::{KeyedLimiter, Quota};
    /// let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).max_keys(1);
    /// let limiter = builder.when_full(WhenFull::Share).build()?;
    /// limiter.allow(&1);
    /// assert!(limiter.allow_n(&2, 3) && limiter.allow_n(&3, 2));
    /// assert!(!limiter.allow(&4)); // 2, 3 and 4 share a bucket
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets the number of shards, each with its own lock; it is rounded up to a power of two.
    /// Default: 128, or fewer if [`max_keys`](Self::max_keys) is small. [`build`](Self::build)
    /// refuses numbers that are not from 1 to 65,536.
    ///
    /// With more shards, the pause is shorter when a table grows. Each shard takes about 200 bytes.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u64>::builder(Quota::per_second(5)).shards(1024).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Sets the number of keys to allocate memory for in advance. Default: none. This is not a
    /// limit.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota};
    /// let limiter = KeyedLimiter::<u64>::builder(Quota::per_day(5)).capacity(100_000).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn capacity(mut self, keys: usize) -> Self {
        self.capacity = keys;
        self
    }

    /// Sets how many callers may wait or hold a reservation on one key at once, as
    /// [`LimiterBuilder::max_waiters`](crate::LimiterBuilder::max_waiters) does for a single
    /// limiter. Callers that have their key's permits and wait for the [global limit](Self::global)
    /// do not count.
    pub fn max_waiters(mut self, max_waiters: usize) -> Self {
        self.max_waiters = max_waiters;
        self
    }

    /// Adds a random extra delay to waits; see [`Jitter`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// Sets the limiter's name, which is the field `limiter` of its tracing events. Events never
    /// contain keys.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }
}

impl<K, A: Algorithm, C: Clock, S> std::fmt::Debug for KeyedBuilder<K, A, C, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedBuilder").field("rule", &self.rule).finish_non_exhaustive()
    }
}
