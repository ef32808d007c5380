//! Options of a keyed limiter.

mod build;

use std::hash::BuildHasher;
use std::marker::PhantomData;

use super::terms::function::TermsBy;
use super::{Key, RandomState, Terms, WhenFull};
use crate::algorithm::{Algorithm, AnyRule, GreedyRefill};
use crate::limiters::verbs::Settings;
use crate::{Clock, CounterClock, Jitter, Quota, QuotaError};

/// Collects the options of a keyed limiter; ends in [`build`](Self::build).
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
    /// The clock to read; default: [`CounterClock`].
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, ManualClock, Quota};
    /// let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> KeyedBuilder<K, A, D, S> {
        self.with(|_, hasher| (clock, hasher))
    }

    /// The hasher; default: [`RandomState`], which withstands those who choose keys to collide.
    ///
    /// Where no stranger chooses the keys, one without that promise saves a few nanoseconds a decision, such as
    /// `foldhash::fast::RandomState` of the crate `foldhash`. One that is not seeded randomly lets whoever chooses the keys put them all into one shard; so
    /// does one that leaves the upper half of a hash empty, such as the identity.
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

    /// A limit for everybody together: a request passes if its key *and* all keys together may.
    /// Nothing is taken unless both agree. A refusal by this one
    /// [says so](crate::Rejection::is_global).
    ///
    /// Whoever waits queues for its key first, and for this limit after that, so a long queue for one
    /// key holds no other key up. While it waits for this limit, its key's permits count as in use: at
    /// most a burst of a key's waiters are in the second queue at once, and neither a key nor all keys
    /// together exceed their limit. Waiters of one key get their key's permits in the order in
    /// which they came. In the second queue the order is that in which waiters noticed that they had
    /// their key's permits: two who had them within a timer's lateness of each other may swap.
    ///
    /// A reservation that is not granted at once stands in both queues, and counts at each limit from when that
    /// limit would have served it. If one would serve it earlier than the other, permits refilled in between can be used by
    /// others, and the first limit can then be exceeded by the reservation's permits at the moment of its use.
    /// Use a wait where that matters.
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

    /// As [`global`](Self::global), by any rule.
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

    /// What applies to a key: a function from the key to its [`Terms`], or to a [`Quota`].
    ///
    /// It is asked when a key is seen that is not held: also when one comes back after its bucket
    /// was full, and at each request of one that is exempt or without limit, because such are not
    /// held. So it should be quick: a look into a map, not into a database. Use
    /// [`refresh_terms`](Keyed::refresh_terms) when its answers have changed.
    ///
    /// With a quota that can't be kept, such as one of zero, **the key is blocked**: its requests are
    /// refused with [`Rejection::Blocked`](crate::Rejection::Blocked), and each time the function is
    /// asked, a tracing event of level `WARN` says why. Check what comes from a configuration with
    /// [`Quota::validate`]. [`set_quota_for`](Keyed::set_quota_for) or
    /// [`unblock`](Keyed::unblock) ends that for one key.
    ///
    /// The function runs under no lock and may use the limiter. If it asks for its own answer again
    /// and again, eight deep, the key is blocked as well; a refresh by the function itself makes the
    /// limiter ask once more, and no more than that.
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

    /// A quota for each key: [`terms_by`](Self::terms_by) for quotas alone.
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

    /// How many keys may be held at once, at least 1; default: no bound. What happens beyond is said
    /// by [`when_full`](Self::when_full). [`build`](Self::build) refuses 0.
    ///
    /// Only keys count that are not full: who was not active within one refill time takes no place
    /// for long. While a flood of made-up keys holds all places, known keys are served as ever; new
    /// ones, and those who come back after their bucket was full, are not, or share a bucket. That
    /// is not their fault: answer them with 503, not with 429. Keys whose terms are set by hand do
    /// not count: whoever is to be blocked, exempt or upgraded then can be.
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

    /// What a new key meets when [`max_keys`](Self::max_keys) are held; default:
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

    /// How many shards, each with a lock of its own: rounded up to a power of two, from 1 to 65,536.
    /// Default: 128, or fewer if [`max_keys`](Self::max_keys) is small. [`build`](Self::build) refuses
    /// other numbers.
    ///
    /// More shards make the pause shorter when a table grows; each takes about 200 bytes.
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

    /// How many keys to make room for at once; default: none. Not a bound.
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

    /// How many may wait or hold a reservation for one key; see
    /// [`KeyedBuilder::max_waiters`](crate::LimiterBuilder::max_waiters). Those who have their key's permits and
    /// wait for everybody's do not count.
    pub fn max_waiters(mut self, max_waiters: usize) -> Self {
        self.max_waiters = max_waiters;
        self
    }

    /// A random extra delay for those who wait; see [`Jitter`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// The name under which tracing events appear, in their field `limiter`. Keys never do.
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
