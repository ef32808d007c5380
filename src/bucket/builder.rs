//! Options of a limiter.

use super::atomic::AtomicTokenBucket;
use super::core::Core;
use super::gate::Settings;
use super::leased::LeasedTokenBucket;
use super::locked::Limiter;
use crate::algorithm::{Algorithm, GreedyRefill};
use crate::{Clock, Jitter, MonotonicClock, QuotaError, Timestamp};

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
pub struct Builder<A: Algorithm, C: Clock = MonotonicClock> {
    rule: Result<A, QuotaError>,
    clock: C,
    start: Start<A::State>,
    max_waiters: usize,
    settings: Settings,
}

/// What a limiter starts with.
#[derive(Debug)]
enum Start<S> {
    Full,
    Permits(u64),
    State(S),
}

impl<A: Algorithm> Builder<A> {
    pub(crate) fn new(rule: Result<A, QuotaError>) -> Self {
        Self {
            rule,
            clock: MonotonicClock::new(),
            start: Start::Full,
            max_waiters: usize::MAX,
            settings: Settings::default(),
        }
    }
}

impl<A: Algorithm, C: Clock> Builder<A, C> {
    /// The clock to read; default: the kernel's ([`MonotonicClock`]).
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, TokenBucket};
    /// let builder = TokenBucket::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> Builder<A, D> {
        let Self { rule, start, max_waiters, settings, .. } = self;
        Builder { rule, clock, start, max_waiters, settings }
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
        Ok((self.clock, Core::new(rule, state, now, self.max_waiters), self.settings))
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

impl<C: Clock> Builder<GreedyRefill, C> {
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
