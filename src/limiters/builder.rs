//! Options of a limiter.

use crate::algorithm::{Algorithm, GreedyRefill};
use crate::limiters::atomic::AtomicTokenBucket;
use crate::limiters::core::Core;
use crate::limiters::leased::LeasedTokenBucket;
use crate::limiters::limiter::Limiter;
use crate::limiters::verbs::Settings;
use std::time::Duration;

use crate::{Clock, CounterClock, Jitter, QuotaError, Timestamp};

/// Collects the options of a limiter; ends in [`build`](Self::build), or for token buckets in
/// [`build_atomic`](Self::build_atomic) or [`build_leased`](Self::build_leased).
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Jitter, ManualClock, Quota, TokenBucket};
///
/// let limiter = TokenBucket::builder(Quota::per_second(50).burst(100))
///     .name("outgoing mail")
///     .clock(ManualClock::new())
///     .initial(10)
///     .max_waiters(1_000)
///     .jitter(Jitter::up_to(Duration::from_millis(5)))
///     .build()?;
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is built before `build`"]
pub struct LimiterBuilder<A: Algorithm, C: Clock = CounterClock> {
    rule: Result<A, QuotaError>,
    clock: C,
    start: Start<A::State>,
    max_waiters: usize,
    catch_up: Option<Duration>,
    settings: Settings,
}

/// What a limiter starts with.
#[derive(Debug)]
enum Start<S> {
    Full,
    Permits(u64),
    State(S),
}

impl<A: Algorithm> LimiterBuilder<A> {
    pub(crate) fn new(rule: Result<A, QuotaError>) -> Self {
        Self {
            rule,
            clock: CounterClock::new(),
            start: Start::Full,
            max_waiters: usize::MAX,
            catch_up: None,
            settings: Settings::default(),
        }
    }
}

impl<A: Algorithm, C: Clock> LimiterBuilder<A, C> {
    /// The clock to read; default: [`CounterClock`].
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, TokenBucket};
    /// let builder = TokenBucket::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> LimiterBuilder<A, D> {
        let Self { rule, start, max_waiters, catch_up, settings, .. } = self;
        LimiterBuilder { rule, clock, start, max_waiters, catch_up, settings }
    }

    /// Permits to start with; default: all of the burst. More than the burst is an error.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::builder(Quota::per_hour(9)).initial(3).build()?;
    /// assert_eq!(limiter.usage().remaining, 3);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn initial(mut self, permits: u64) -> Self {
        self.start = Start::Permits(permits);
        self
    }

    /// The state to start from, as [`Limiter::snapshot`] gave it, on the same clock.
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
    /// let clock = ManualClock::new();
    /// let old = TokenBucket::builder(Quota::per_hour(9)).clock(clock.clone()).build()?;
    /// old.allow_n(4);
    /// let (_, state, _) = old.snapshot();
    /// let new = TokenBucket::builder(Quota::per_hour(9)).clock(clock).state(state).build()?;
    /// assert_eq!(new.usage().remaining, 5);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn state(mut self, state: A::State) -> Self {
        self.start = Start::State(state);
        self
    }

    /// How many may wait or hold a reservation at once; beyond it a wait fails at once with
    /// [`WaitError::QueueFull`](crate::WaitError::QueueFull). Default: no bound. 0 forbids waiting.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket, WaitError};
    /// let limiter = TokenBucket::builder(Quota::per_hour(1)).max_waiters(0).build()?;
    /// assert!(limiter.wait().is_ok());
    /// assert_eq!(limiter.wait(), Err(WaitError::QueueFull { max_waiters: 0 }));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn max_waiters(mut self, max_waiters: usize) -> Self {
        self.max_waiters = max_waiters;
        self
    }

    /// How late a waiter may be noticed and still be served as of the time when it was due.
    ///
    /// Timers are late, and a process may be held up. A waiter who is noticed a little late loses nothing, so that the
    /// full rate is kept. After a longer stall the permits of the time before are lost, so that not everybody
    /// who is overdue acts at once: at one instant waiters get at most what the burst holds, or what comes within
    /// `catch_up`, whichever is more. A waiter that does not look when its turn comes holds nobody up: those behind
    /// it are served in time, and its own permits are spent. Once it looks, it gets permits that were spent so, as long as
    /// there are any: at most a burst is kept for all such waiters. After that, it is the next to be served. The default is the time in which the burst refills, at least 10 ms. With zero,
    /// permits count from the moment at which they are really granted. Windows that promise something of the times of
    /// use ([`StrictLimiter`](crate::StrictLimiter), [`SlidingWindowLimiter`](crate::SlidingWindowLimiter)) always do so.
    ///
    /// A [`Reservation`](crate::Reservation) is due when it was promised to be, noticed or not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{Quota, TokenBucket};
    /// let quota = Quota::per_second(1_000).burst(1);
    /// // After a stall, 50 permits at one instant are fine.
    /// let limiter = TokenBucket::builder(quota).catch_up(Duration::from_millis(50)).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn catch_up(mut self, catch_up: Duration) -> Self {
        self.catch_up = Some(catch_up);
        self
    }

    /// A random extra delay for those who wait; default: none.
    ///
    /// See [`Jitter`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// The name under which this limiter's tracing events appear, in their field `limiter`.
    ///
    /// ```
    /// use tollgate::{Quota, TokenBucket};
    /// let limiter = TokenBucket::builder(Quota::per_second(9)).name("mail").build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept, or the initial fill is more than the burst.
    ///
    /// ```
    /// use tollgate::{Quota, QuotaError, TokenBucket};
    /// let built = TokenBucket::builder(Quota::per_second(1)).initial(2).build();
    /// assert_eq!(built.unwrap_err(), QuotaError::InitialExceedsBurst { burst: 1 });
    /// ```
    pub fn build(self) -> Result<Limiter<A, C>, QuotaError> {
        let (clock, core, settings) = self.into_parts()?;
        Ok(Limiter::from_parts(clock, core, settings))
    }

    fn into_parts(self) -> Result<(C, Core<A>, Settings), QuotaError> {
        let rule = self.rule?;
        let now = self.clock.now();
        let state = start(&rule, now, self.start)?;
        let mut core = Core::new(rule, state, now, self.max_waiters);
        core.set_catch_up(self.catch_up);
        Ok((self.clock, core, self.settings))
    }
}

fn start<A: Algorithm>(
    rule: &A,
    now: Timestamp,
    start: Start<A::State>,
) -> Result<A::State, QuotaError> {
    let burst = rule.limit();
    match start {
        Start::Full => Ok(rule.start(now, 0)),
        Start::State(state) => Ok(state),
        Start::Permits(permits) => match burst.checked_sub(permits) {
            Some(used) => Ok(rule.start(now, used.into())),
            None => Err(QuotaError::InitialExceedsBurst { burst }),
        },
    }
}

impl<C: Clock> LimiterBuilder<GreedyRefill, C> {
    /// Builds the lock-free twin.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`QuotaError::TooWide`] if one 64-bit word can't keep the
    /// quota to within a millionth.
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
    /// let clock = ManualClock::new();
    /// let limiter = TokenBucket::builder(Quota::per_second(9)).clock(clock).build_atomic()?;
    /// assert!(limiter.allow_n(9));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn build_atomic(self) -> Result<AtomicTokenBucket<C>, QuotaError> {
        let (clock, core, settings) = self.into_parts()?;
        AtomicTokenBucket::from_parts(clock, core, settings)
    }

    /// Builds a bucket from which each thread draws up to `batch` permits at a time (at least 1).
    /// `16 * batch` permits of the burst are held back; see [`LeasedTokenBucket`].
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`QuotaError::BurstBelowLeases`] if the burst is too small
    /// for what the leases hold back.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::builder(Quota::per_second(1_000_000)).build_leased(64)?;
    /// assert!(limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn build_leased(self, batch: u32) -> Result<LeasedTokenBucket<C>, QuotaError> {
        let quota = self.rule?.quota();
        let inner = LeasedTokenBucket::<C>::inner_quota(quota, batch)?;
        let builder = Self { rule: GreedyRefill::try_from(inner), ..self };
        Ok(LeasedTokenBucket::from_parts(builder.build()?, batch))
    }
}
