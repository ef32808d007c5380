//! The charge of a limiter in a decision over several limits.

use std::cell::Cell;
use std::fmt;

use crate::algorithm::{Algorithm, is_ours};
use crate::charges::party::{BEHIND, Decision, LIMITER, LOCKS, Party, Place, Shown, Slot, State};
use crate::limiters::core::{Core, LAST};
use crate::limiters::limiter::Limiter;
use crate::limiters::verbs::Gate;
use crate::wakers::Wakers;
use crate::{Answer, Charge, Clock, CounterClock, Grant, RateLimiter, Rejection, Timestamp};

/// The number of the limiter's lock within its charge.
pub(crate) const LOCK: u8 = LOCKS - 1;

/// A number of permits of one limiter, for a decision over several limiters. Made by
/// [`Limiter::charge`].
///
/// ```
/// use tollgate::{Answer, Quota, TokenBucket, take_all};
/// let (per_second, per_hour) =
///     (TokenBucket::new(Quota::per_second(5))?, TokenBucket::new(Quota::per_hour(100))?);
/// let (mut burst, mut total) = (per_second.charge(3), per_hour.charge(3));
/// assert!(take_all(&mut [&mut burst, &mut total]));
/// assert_eq!(total.answer().remaining(), Some(97));
/// assert!(!take_all(&mut [&mut burst, &mut total]));
/// assert!(matches!(burst.answer(), Answer::Refused(_)));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[must_use = "a charge does nothing until it is decided"]
pub struct LimiterCharge<'a, A: Algorithm, C: Clock = CounterClock> {
    limiter: &'a Limiter<A, C>,
    permits: u64,
    /// The permits of this charge and of earlier charges of the same limiter.
    all: Cell<u64>,
    answer: Cell<Answer>,
    /// The state before the decision, while foreign code runs.
    before: Cell<Option<A::State>>,
    /// Whether it was refused without the lock.
    is_early: Cell<bool>,
}

impl<A: Algorithm, C: Clock> Limiter<A, C> {
    /// A charge of `permits`, for a decision over several limiters: see
    /// [`take_all`](crate::take_all). The decision treats waiters, a closed limiter and
    /// [`catch_up`](crate::LimiterBuilder::catch_up) as [`try_acquire`](RateLimiter::try_acquire)
    /// does. By itself, the charge does nothing.
    ///
    /// ```
    /// use tollgate::{KeyedLimiter, Quota, TokenBucket, take_all};
    /// let per_user = KeyedLimiter::<u64>::new(Quota::per_hour(5))?;
    /// let everybody = TokenBucket::new(Quota::per_second(1_000))?;
    /// assert!(take_all(&mut [&mut per_user.charge(&7), &mut everybody.charge(1)]));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn charge(&self, permits: u64) -> LimiterCharge<'_, A, C> {
        let (answer, is_early, all) = (Cell::default(), Cell::new(false), Cell::new(permits));
        LimiterCharge { limiter: self, permits, all, answer, before: Cell::new(None), is_early }
    }
}

impl<A: Algorithm, C: Clock> LimiterCharge<'_, A, C> {
    /// The answer of the limiter in the last decision.
    pub fn answer(&self) -> Answer {
        self.answer.get()
    }

    /// Decides this charge alone: [`RateLimiter::allow_n`].
    #[must_use = "the answer says whether the permits were taken"]
    pub fn allow(&self) -> bool {
        RateLimiter::allow_n(self.limiter, self.permits)
    }

    /// Decides this charge alone: [`RateLimiter::try_acquire`].
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::try_acquire`].
    pub fn try_acquire(&self) -> Result<Grant, Rejection> {
        RateLimiter::try_acquire(self.limiter, self.permits)
    }
}

impl<A: Algorithm, C: Clock> fmt::Debug for LimiterCharge<'_, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("LimiterCharge");
        debug.field("permits", &self.permits).field("answer", &self.answer.get());
        debug.finish_non_exhaustive()
    }
}

impl<A: Algorithm, C: Clock> Charge for LimiterCharge<'_, A, C> {
    fn answer(&self) -> Answer {
        self.answer.get()
    }
}

impl<A: Algorithm, C: Clock> Limiter<A, C> {
    /// The place of the limiter's lock in the order of all locks.
    pub(crate) fn place(&self) -> Place {
        Place { kind: LIMITER, number: self.number() }
    }

    /// Whether `permits` could be taken from `core` now. The core must be that of this limiter.
    pub(crate) fn look_at(
        core: &mut Core<A>,
        now: Timestamp,
        permits: u64,
        wakers: &mut Wakers,
    ) -> bool {
        core.check(now, permits, wakers).is_ok_and(|ready| ready <= core.latest())
    }

    /// Takes permits that are available.
    pub(crate) fn take_from(&self, core: &mut Core<A>, permits: u64) -> Grant {
        self.publish(None);
        core.take_checked(permits)
    }

    /// Refuses `own` permits because `all` are not available, and publishes the refusal.
    pub(crate) fn refuse_from(
        &self,
        core: &mut Core<A>,
        now: Timestamp,
        all: u64,
        own: u64,
        wakers: &mut Wakers,
    ) -> Rejection {
        let rejection = core.refuse(now, all, own, wakers);
        let published = match &rejection {
            Rejection::Denied { .. } => core.refusal(all),
            _ => core.refusal(1),
        };
        self.publish(published);
        rejection
    }
}

/// The core of a limiter by rule `A`, if this is what the lock protects.
pub(crate) fn core_of<A: Algorithm>(state: &mut State) -> Option<&mut Core<A>> {
    state.downcast_mut()
}

impl<A: Algorithm, C: Clock> Party for LimiterCharge<'_, A, C> {
    fn now(&self) -> Timestamp {
        self.limiter.clock().now().min(LAST)
    }

    #[inline]
    fn quick(&self, now: Timestamp) -> u64 {
        let waits = !is_ours::<A>() || self.limiter.is_refusing(now);
        if waits { 0 } else { self.limiter.number() | BEHIND }
    }

    #[inline]
    fn decide_quickly(&self, now: Timestamp, rest: &mut dyn FnMut() -> bool) -> bool {
        let granted = self.limiter.take_if(now, self.permits, rest);
        granted.inspect(|grant| self.answer.set(Answer::Taken(*grant))).is_some()
    }

    fn begin(&self, now: Timestamp) -> bool {
        let published = self.limiter.published(now, self.permits);
        self.is_early.set(published.is_some());
        self.answer.set(published.map_or(Answer::Undecided, Answer::Refused));
        if published.is_some() {
            self.limiter.count_denied(self.permits);
        }
        published.is_some()
    }

    fn place(&self, lock: u8) -> Option<Place> {
        (lock == LOCK && !self.is_early.get()).then(|| self.limiter.place())
    }

    fn hold(&self, _: u8, then: &mut dyn FnMut(&mut State)) {
        self.limiter.hold(then);
    }

    fn find(&self, _: u8, _: &mut State, _: &Decision<'_>) -> bool {
        true
    }

    fn is_found(&self) -> bool {
        true
    }

    fn resolve(&self, _: Timestamp) {}

    fn show(&self, _: u8, to: &mut dyn FnMut(Shown<'_>)) {
        to(Shown {
            slot: Slot::Whole,
            hash: 0,
            key: None,
            tier: None,
            own: None,
            no_room: None,
            permits: self.permits,
        });
    }

    fn meets(&self, _: u8, _: Shown<'_>) -> bool {
        true
    }

    fn look(
        &self,
        _: u8,
        state: &mut State,
        _: Option<&mut State>,
        before: u64,
        decision: &mut Decision<'_>,
    ) -> bool {
        let Some(core) = core_of::<A>(state) else { return false };
        let permits = before.saturating_add(self.permits);
        self.all.set(permits);
        let served = core.is_open_and_idle();
        let passes = Limiter::<A, C>::look_at(core, decision.now, permits, decision.wakers);
        if !served {
            // Some waiters may have been served.
            self.limiter.publish(None);
        }
        if !passes {
            self.answer.set(Answer::Refused(Rejection::Closed));
        }
        passes
    }

    fn save(&self, _: u8, state: &mut State) {
        self.before.set(core_of::<A>(state).map(|core| core.state.clone()));
    }

    fn restore(&self, _: u8, state: &mut State) {
        if let (Some(before), Some(core)) = (self.before.take(), core_of::<A>(state)) {
            // A `take` that panicked has counted nothing.
            let counted = matches!(self.answer.get(), Answer::Taken(_));
            core.restore(before, if counted { self.permits } else { 0 });
            self.answer.set(Answer::Undecided);
        }
    }

    fn find_again(&self, _: u8, _: &mut State) {}

    fn is_simple(&self, _: u8) -> bool {
        is_ours::<A>()
    }

    fn take(&self, _: u8, state: &mut State, _: Option<&mut State>, _: &mut Decision<'_>) {
        let Some(core) = core_of::<A>(state) else { return };
        self.answer.set(Answer::Taken(self.limiter.take_from(core, self.permits)));
    }

    fn refuse(&self, _: u8, state: &mut State, _: Option<&mut State>, decision: &mut Decision<'_>) {
        let Some(core) = core_of::<A>(state) else { return };
        let (now, own) = (decision.now, self.permits);
        self.answer.set(match self.answer.get() {
            Answer::Refused(_) => {
                let all = self.all.get();
                let wakers = &mut *decision.wakers;
                Answer::Refused(self.limiter.refuse_from(core, now, all, own, wakers))
            }
            _ => Answer::Untouched(self.limiter.with_denied(core.usage(now, decision.wakers))),
        });
    }

    fn finish(&self) {
        if let Answer::Refused(rejection) = self.answer.get() {
            self.limiter.log_rejection(self.permits, &rejection);
        }
    }
}
