//! A limiter whose state, counters and queue are behind one mutex.

mod decide;

use crate::algorithm::Algorithm;
use crate::limiters::builder::LimiterBuilder;
use crate::limiters::core::Core;
use crate::limiters::counter::Counter;
use crate::limiters::refusal::Published;
use crate::limiters::verbs::{Gate, Settings};
use crate::rate_limiter::forward_to_gate;
use crate::sync::{CacheLine, Mutex, next_number};
use crate::{CarryOver, Clock, CounterClock, Quota, QuotaError, Timestamp};

/// A limiter by rule `A`: one mutex around state, counters and queue, so every method is one atomic
/// step.
///
/// Most code names one of its aliases: [`TokenBucket`](crate::TokenBucket),
/// [`IntervalTokenBucket`](crate::IntervalTokenBucket),
/// [`FixedWindowLimiter`](crate::FixedWindowLimiter),
/// [`SlidingWindowLimiter`](crate::SlidingWindowLimiter), [`StrictLimiter`](crate::StrictLimiter),
/// [`Composite`](crate::Composite). Its methods are those of
/// [`RateLimiter`](crate::RateLimiter).
///
/// Repeated refusals do not take the mutex. After a refusal, the limiter publishes the time before
/// which no request can pass. A request before that time is refused after one clock reading and a
/// few loads, with the same answer that it would get under the mutex. (A `try_acquire` still takes
/// the mutex unless it is for 1 permit, or for as many permits as were refused last.)
///
/// # Size
///
/// In bytes, on 64-bit Linux with the default clock. Each waiter adds an entry to the queue.
///
/// | limiter | inline | heap |
/// |---|---|---|
/// | [`TokenBucket`](crate::TokenBucket) | 768 | 480 |
/// | [`IntervalTokenBucket`](crate::IntervalTokenBucket) | 832 | 512 |
/// | [`FixedWindowLimiter`](crate::FixedWindowLimiter) | 832 | 512 |
/// | [`SlidingWindowLimiter`](crate::SlidingWindowLimiter) | 832 | 464 |
/// | [`StrictLimiter`](crate::StrictLimiter) | 832 | 496, and up to 66 entries of 24 bytes |
/// | [`Composite`](crate::Composite) | 768 | 400, and 136 for each limit and the names |
/// | [`AtomicTokenBucket`](crate::AtomicTokenBucket) | 320 | 480 |
/// | [`LeasedTokenBucket`](crate::LeasedTokenBucket) | 2624 | 480 |
///
/// ```
/// use tollgate::{Quota, RateLimiter, TokenBucket};
///
/// let limiter = TokenBucket::new(Quota::per_second(50).burst(100))?;
/// if limiter.allow() {
///     // handle the request
/// }
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct Limiter<A: Algorithm, C: Clock = CounterClock> {
    clock: C,
    /// The last refusal, for requests that are made before the answer can change.
    refusal: Published,
    core: CacheLine<Mutex<Core<A>>>,
    /// Permits that were refused without the lock.
    denied: Counter,
    settings: Settings,
    /// A number that no other limiter of this process has.
    number: u64,
}

impl<A: Algorithm + TryFrom<Quota, Error = QuotaError>> Limiter<A> {
    /// A limiter for `quota` on the default clock, full at first.
    ///
    /// # Errors
    ///
    /// When the limiter cannot keep the quota: the rate, the burst or the period is zero, or the
    /// period is too long.
    ///
    /// ```
    /// use tollgate::{Quota, TokenBucket};
    /// assert!(TokenBucket::new(Quota::per_second(50)).is_ok());
    /// assert!(TokenBucket::new(Quota::per_second(0)).is_err());
    /// ```
    pub fn new(quota: Quota) -> Result<Self, QuotaError> {
        Self::builder(quota).build()
    }

    /// A limiter with options: clock, initial fill, bound on the queue, jitter, name.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::builder(Quota::per_second(50)).initial(0).build()?;
    /// assert!(!limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder(quota: Quota) -> LimiterBuilder<A> {
        LimiterBuilder::new(quota.try_into())
    }
}

impl<A: Algorithm> Limiter<A> {
    /// A limiter by any rule, full at first.
    ///
    /// ```
    /// use tollgate::algorithm::StrictWindow;
    /// use tollgate::{Limiter, Quota};
    /// let limiter = Limiter::from_algorithm(StrictWindow::try_from(Quota::per_minute(9))?);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn from_algorithm(rule: A) -> Self {
        let clock = CounterClock::new();
        let now = clock.now();
        let state = rule.start(now, 0);
        Self::from_parts(clock, Core::new(rule, state, now, usize::MAX), Settings::default())
    }

    /// A limiter by any rule, with options.
    ///
    /// ```
    /// use tollgate::algorithm::StrictWindow;
    /// use tollgate::{Limiter, ManualClock, Quota};
    /// let limiter = Limiter::builder_from_algorithm(StrictWindow::try_from(Quota::per_minute(9))?)
    ///     .clock(ManualClock::new())
    ///     .build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn builder_from_algorithm(rule: A) -> LimiterBuilder<A> {
        LimiterBuilder::new(Ok(rule))
    }
}

impl<A: Algorithm, C: Clock> LimiterBuilder<A, C> {
    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// When the limiter cannot keep the quota, or the initial permits are more than the burst.
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
}

impl<A: Algorithm, C: Clock> Limiter<A, C> {
    pub(crate) fn from_parts(clock: C, core: Core<A>, settings: Settings) -> Self {
        Self {
            clock,
            refusal: Published::default(),
            core: CacheLine(Mutex::new(core)),
            denied: Counter::default(),
            settings,
            number: next_number(),
        }
    }

    /// The clock that the limiter reads.
    ///
    /// ```
    /// use tollgate::{Clock, Quota, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(50))?;
    /// assert!(limiter.clock().now() <= limiter.clock().now());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn clock(&self) -> &C {
        &self.clock
    }

    /// The rule, its state, and the time at which they were read. They contain more details than
    /// [`usage`](crate::RateLimiter::usage), and another limiter can start from the state
    /// ([`LimiterBuilder::state`]).
    ///
    /// ```
    /// use tollgate::algorithm::Algorithm;
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_day(9))?;
    /// limiter.allow_n(2);
    /// let (rule, state, now) = limiter.snapshot();
    /// assert_eq!(rule.used(&state, now), 2);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn snapshot(&self) -> (A, A::State, Timestamp) {
        self.with_core(|core, now, wakers| {
            let (state, now) = core.snapshot(now, wakers);
            (core.rest.rule.clone(), state, now)
        })
    }

    /// Replaces the rule by the one that `new` makes of it, in one step. The used permits carry
    /// over as `how` says, and the due times of all waiters are computed anew. `new` runs under the
    /// lock, so it must not call the limiter.
    ///
    /// # Errors
    ///
    /// The error of `new`. Then nothing changes.
    ///
    /// ```
    /// use tollgate::algorithm::Algorithm;
    /// use tollgate::{CarryOver, Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(5))?;
    /// limiter.set_algorithm(CarryOver::Keep, |rule| {
    ///     rule.with_quota(Quota::per_second(rule.quota().permits() * 2))
    /// })?;
    /// assert_eq!(limiter.quota(), Quota::per_second(10));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn set_algorithm(
        &self,
        how: CarryOver,
        new: impl FnOnce(&A) -> Result<A, QuotaError>,
    ) -> Result<(), QuotaError> {
        self.replace_rule(how, new)
    }
}

forward_to_gate!([A: Algorithm, C: Clock] Limiter<A, C>);
