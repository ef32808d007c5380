//! State, counters and queue behind one mutex.

use std::any::Any;

use super::builder::LimiterBuilder;
use super::core::Core;
use super::counter::Counter;
use super::gate::{Gate, Settings};
use super::refusal::{Published, Refusal};
use crate::algorithm::Algorithm;
use crate::limiter::forward_to_gate;
use crate::sync::{CacheLine, Mutex, next_number};
use crate::wait::queue::{Taken, Wakers};
use crate::{
    CarryOver, Clock, CounterClock, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
};

/// A limiter by rule `A`: one mutex around state, counters and queue, so every verb is one atomic
/// step.
///
/// You will mostly write one of its aliases: [`TokenBucket`](crate::TokenBucket),
/// [`IntervalTokenBucket`](crate::IntervalTokenBucket),
/// [`FixedWindowLimiter`](crate::FixedWindowLimiter),
/// [`SlidingWindowLimiter`](crate::SlidingWindowLimiter), [`StrictLimiter`](crate::StrictLimiter).
/// What it can do is in [`RateLimiter`](crate::RateLimiter).
///
/// A hot refusal does not take the mutex: after a refusal, the time of the next permit is published, and whoever asks
/// before that is refused after one clock reading and a few loads. So is a `try_acquire` of one permit, or of as many as
/// were refused last, with the same answer that the mutex would give.
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
    /// The last refusal, for those who ask again before it can be otherwise.
    refusal: Published,
    core: CacheLine<Mutex<Core<A>>>,
    /// Denials that did not take the lock.
    denied: Counter,
    settings: Settings,
    number: u64,
}

impl<A: Algorithm + TryFrom<Quota, Error = QuotaError>> Limiter<A> {
    /// A limiter for `quota` on the default clock, full at first.
    ///
    /// # Errors
    ///
    /// When the quota can't be kept: a zero somewhere, or an overlong period.
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

impl<A: Algorithm, C: Clock> Limiter<A, C> {
    pub(super) fn from_parts(clock: C, core: Core<A>, settings: Settings) -> Self {
        Self {
            clock,
            refusal: Published::default(),
            core: CacheLine(Mutex::new(core)),
            denied: Counter::default(),
            settings,
            number: next_number(),
        }
    }

    /// The clock.
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

    /// The rule, its state, and the time they were read, to look closer than
    /// [`usage`](crate::RateLimiter::usage) does, or to start another limiter from
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

    /// Replaces the rule by what `new` makes of it, in one step. What was used carries over as `how`
    /// says, and those who wait are re-timed. `new` runs under the lock: it must not call the limiter.
    ///
    /// # Errors
    ///
    /// What `new` fails with; then nothing changes.
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

    /// Publishes when the next permit comes, for those who are refused beside the lock.
    pub(super) fn publish_earliest(&self) {
        let mut core = self.core.0.lock();
        self.refusal.publish(core.refusal(1));
    }

    /// Lends the core; the caller drops the wakers once it holds no lock of its own.
    pub(crate) fn lend<R>(
        &self,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut Core<A>, &mut Wakers) -> R,
    ) -> R {
        let mut core = self.core.0.lock();
        let result = act(&mut core, wakers);
        self.refusal.withdraw();
        result
    }

    /// Locks the core for a decision over several limiters; it says itself what of the last refusal stands.
    pub(crate) fn hold(&self, then: &mut dyn FnMut(&mut dyn Any)) {
        let mut core = self.core.0.lock();
        then(&mut *core);
    }

    /// The limiter's own number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a refusal is published that holds still.
    #[inline]
    pub(super) fn is_refusing(&self, now: Timestamp) -> bool {
        self.refusal.is_too_early(now)
    }

    /// Takes permits that are there if `rest` says so, under the lock; else nothing changes.
    #[inline]
    pub(super) fn take_if(
        &self,
        now: Timestamp,
        permits: u64,
        rest: &mut dyn FnMut() -> bool,
    ) -> Option<Grant> {
        let mut core = self.core.0.lock();
        if !core.is_there_if_idle(now, permits) || !rest() {
            return None;
        }
        self.refusal.withdraw();
        Some(core.take_checked(permits))
    }

    /// The published refusal of so many permits, if it is that time still.
    pub(super) fn published(&self, now: Timestamp, permits: u64) -> Option<Rejection> {
        if self.is_hopeless(now, permits) { self.refusal.answer(now, permits) } else { None }
    }

    /// A usage with the refusals that did not take the lock.
    pub(super) fn with_denied(&self, usage: Usage) -> Usage {
        Usage { denied: usage.denied.saturating_add(self.denied.sum()), ..usage }
    }

    /// Counts a refusal beside the lock.
    pub(super) fn count_denied(&self, permits: u64) {
        self.denied.add(permits);
    }

    /// Withdraws the published refusal, or publishes another one; under the lock.
    pub(super) fn publish(&self, refusal: Option<Refusal>) {
        self.refusal.publish(refusal);
    }

    /// Counts and tells a refusal beside the lock.
    #[inline]
    pub(super) fn refuse(&self, permits: u64) {
        self.denied.add(permits);
        self.log_refusal(permits);
    }

    /// Whether `now` is too early for anybody, by the published time.
    #[inline]
    pub(super) fn is_hopeless(&self, now: Timestamp, permits: u64) -> bool {
        self.refusal.is_too_early(now) && permits != 0
    }

    #[inline]
    fn allow_locked(&self, now: Timestamp, permits: u64) -> bool {
        let mut core = self.core.0.lock();
        if core.allow_if_idle(now, permits).is_some() {
            self.refusal.withdraw();
            return true;
        }
        drop(core);
        self.decide_slowly(now, permits).is_ok()
    }

    /// Refuses in most cases, and publishes until when.
    #[cold]
    fn decide_slowly(&self, now: Timestamp, permits: u64) -> Result<Grant, Rejection> {
        let mut wakers = Wakers::default();
        let mut core = self.core.0.lock();
        let answer = core.try_acquire(now, permits, &mut wakers);
        match &answer {
            Err(Rejection::Denied { .. }) => self.refusal.publish(core.refusal(permits)),
            Err(_) => self.refusal.publish(core.refusal(1)),
            Ok(_) => self.refusal.withdraw(),
        }
        drop(core);
        drop(wakers);
        if let Err(rejection) = &answer {
            self.log_rejection(permits, rejection);
        }
        answer
    }
}

impl<A: Algorithm, C: Clock> Gate for Limiter<A, C> {
    type Rule = A;
    type Clock = C;

    fn clock(&self) -> &C {
        &self.clock
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        let now = self.clock.now();
        if self.is_hopeless(now, permits) {
            self.refuse(permits);
            return false;
        }
        self.allow_locked(now, permits)
    }

    #[inline]
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        let now = self.clock.now();
        if self.is_hopeless(now, permits) {
            if let Some(rejection) = self.refusal.answer(now, permits) {
                self.denied.add(permits);
                self.log_rejection(permits, &rejection);
                return Err(rejection);
            }
        }
        let mut core = self.core.0.lock();
        if let Some(by) = core.allow_if_idle(now, permits) {
            self.refusal.withdraw();
            return Ok(core.grant(permits, Taken::finally(by)));
        }
        drop(core);
        self.decide_slowly(now, permits)
    }

    fn usage(&self) -> Usage {
        self.with_denied(self.look())
    }

    fn with_core<R>(&self, act: impl FnOnce(&mut Core<A>, Timestamp, &mut Wakers) -> R) -> R {
        let now = self.clock.now();
        self.lend(&mut Wakers::default(), |core, wakers| act(core, now, wakers))
    }
}

forward_to_gate!([A: Algorithm, C: Clock] Limiter<A, C>);
