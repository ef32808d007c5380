//! The options of a limiter.

use crate::algorithm::Algorithm;
use crate::limiters::core::Core;
use crate::limiters::verbs::Settings;
use std::time::Duration;

use crate::{Clock, CounterClock, Jitter, QuotaError, Timestamp};

/// Collects the options of a limiter. [`build`](Self::build) builds it; for a token bucket, there
/// are also [`build_atomic`](Self::build_atomic) and [`build_leased`](Self::build_leased).
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
#[must_use = "the limiter is built by `build`"]
pub struct LimiterBuilder<A: Algorithm, C: Clock = CounterClock> {
    rule: Result<A, QuotaError>,
    clock: C,
    start: Start<A::State>,
    max_waiters: usize,
    catch_up: Option<Duration>,
    settings: Settings,
}

/// The state that a limiter starts with.
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
    /// The clock that the limiter reads. Default: [`CounterClock`].
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, TokenBucket};
    /// let builder = TokenBucket::builder(Quota::per_second(1)).clock(ManualClock::new());
    /// ```
    pub fn clock<D: Clock>(self, clock: D) -> LimiterBuilder<A, D> {
        let Self { rule, start, max_waiters, catch_up, settings, .. } = self;
        LimiterBuilder { rule, clock, start, max_waiters, catch_up, settings }
    }

    /// How many permits are available at first. Default: the whole burst. More than the burst is an
    /// error.
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

    /// The state to start from, as returned by
    /// [`Limiter::snapshot`](crate::Limiter::snapshot) on the same clock.
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

    /// How many waiters and reservations the queue may hold. If it is full, a wait fails at once
    /// with [`WaitError::QueueFull`](crate::WaitError::QueueFull). Default: no bound. 0 forbids
    /// waiting.
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

    /// How late a waiter may be noticed and still be served as of the time at which it was due.
    /// Default: the time in which the burst refills, and at least 10 ms.
    ///
    /// Timers are late, and a process may be held up. If a waiter is noticed less late than this,
    /// no permits are lost, so the full rate is kept. After a longer stall, the permits of the time
    /// before are lost, so that overdue waiters do not all act at once: at one instant, waiters get
    /// at most the burst, or as many permits as are refilled within `catch_up`, whichever is more.
    ///
    /// A waiter that is not polled when it is due has missed its turn once a waiter behind it looks
    /// in time: the waiter behind it is served in time, and the permits of the one that missed its
    /// turn are spent. When it is polled later, it gets permits that were spent in this way: at
    /// most a burst, for all such waiters together, on top of the bound above. If not enough are
    /// left, it is the next to be served. Such waiters are in the queue again, even beyond
    /// [`max_waiters`](Self::max_waiters).
    ///
    /// Two things are beyond this bound. Any other call, such as `allow` or `usage`, cannot tell a
    /// waiter that is never polled from a stall: it serves overdue waiters as after a stall, so a
    /// waiter that is never polled then delays those behind it. And a waiter that such a call has
    /// served in time acts when it is polled, however late that is.
    ///
    /// With zero, permits count from the moment at which they are granted. This is always so for
    /// rules that promise something about that moment ([`StrictLimiter`](crate::StrictLimiter),
    /// [`SlidingWindowLimiter`](crate::SlidingWindowLimiter)). A
    /// [`Reservation`](crate::Reservation) is always due at its time, however late this is noticed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{Quota, TokenBucket};
    /// let quota = Quota::per_second(1_000).burst(1);
    /// // After a stall, waiters may get 50 permits at one instant.
    /// let limiter = TokenBucket::builder(quota).catch_up(Duration::from_millis(50)).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn catch_up(mut self, catch_up: Duration) -> Self {
        self.catch_up = Some(catch_up);
        self
    }

    /// A random extra delay for waiters. Default: none.
    ///
    /// See [`Jitter`].
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// The name of the limiter in its tracing events, in their field `limiter`.
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

    /// The same options with another rule.
    pub(crate) fn map_rule(self, new: impl FnOnce(A) -> Result<A, QuotaError>) -> Self {
        Self { rule: self.rule.and_then(new), ..self }
    }

    /// What a limiter of any kind is made of.
    pub(crate) fn into_parts(self) -> Result<(C, Core<A>, Settings), QuotaError> {
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
