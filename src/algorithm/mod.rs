//! The rules that decide when a request may pass: pure functions of a state, a time and a number of
//! permits, without a clock, a lock, a float or I/O.
//!
//! | Rule | Admits at most, in any window of one period | Memory |
//! |---|---|---|
//! | [`GreedyRefill`] | burst + rate | 24 bytes |
//! | [`IntervalRefill`] | burst + rate | 64 bytes |
//! | [`FixedWindow`] | 2 x limit | 64 bytes |
//! | [`SlidingWindow`] | 2 x limit; 1 x limit if the load is even | 32 bytes |
//! | [`StrictWindow`] | limit | up to 66 x 24 bytes |
//! | [`AllOf`] | what its strictest limit admits | the sum of its limits |

mod all_of;
mod any;
mod arith;
mod fixed_window;
mod greedy;
mod holds;
mod interval;
mod packed;
mod sliding_window;
mod strict_window;

pub use all_of::AllOf;
pub(crate) use any::AnyRule;
#[cfg(feature = "shared")]
pub(crate) use any::AnyState;
pub use fixed_window::FixedWindow;
#[cfg(feature = "llm")]
pub(crate) use greedy::Scale;
#[cfg(feature = "shared")]
pub(crate) use greedy::{Charged, MaybeReturned};
pub use greedy::{GreedyRefill, GreedyState, Level};
pub use holds::Receipt;
pub use interval::{IntervalRefill, IntervalState};
pub(crate) use packed::restart_if_full;
pub use packed::{Packed, Whole};
pub use sliding_window::{SlidingState, SlidingWindow};
pub use strict_window::{StrictState, StrictWindow};

use std::any::TypeId;
use std::fmt::Debug;

use crate::{CarryOver, Quota, QuotaError, Timestamp, WhichLimit};

/// The value of "number of the first grant that may be cancelled" if no grant may be cancelled.
const NO_RECEIPTS: u64 = u64::MAX;

/// Whether the rule is one of this crate, whose methods never panic.
pub(crate) fn is_ours<A: 'static>() -> bool {
    let it = TypeId::of::<A>();
    it == TypeId::of::<GreedyRefill>()
        || it == TypeId::of::<IntervalRefill>()
        || it == TypeId::of::<FixedWindow>()
        || it == TypeId::of::<SlidingWindow>()
        || it == TypeId::of::<StrictWindow>()
}

/// A rule that decides when permits are available. Every limiter accepts any rule, also your own.
///
/// To write a rule, choose what it remembers ([`State`](Self::State)), set
/// `type Packed = Whole<Self::State>`, and write the eight required methods. The defaults of the
/// other methods suit most rules.
///
/// # How a limiter uses a rule
///
/// 1. [`start`](Self::start) makes the first state.
/// 2. For each request, [`ready_at`](Self::ready_at) decides and changes nothing. If it answers
///    `now`, the request passes, and [`take`](Self::take) charges it.
///    ([`try_take`](Self::try_take) is both steps in one call.)
/// 3. If `ready_at` answers a later time, the request is refused or waits. When a waiter is served,
///    `take` or `hold` charges it; [`catches_up`](Self::catches_up) says as of which time.
/// 4. A grant that may be cancelled is charged by [`hold`](Self::hold) instead of `take`. Later,
///    [`release`](Self::release) makes its permits final, or [`undo`](Self::undo) cancels them.
/// 5. [`used`](Self::used) and [`full_at`](Self::full_at) report on a state.
///    [`give_back`](Self::give_back) returns permits to it. When the quota changes,
///    [`with_quota`](Self::with_quota) makes the new rule, and
///    [`carry_over`](Self::carry_over) the new state.
///
/// # What a rule must guarantee
///
/// * Usage is counted in permits *used*: 0 means full, [`limit`](Self::limit) means empty, and more
///   is debt.
/// * A method with `&State` sees the state as of `now`, with everything refilled until then, and
///   changes nothing. A method with `&mut State` and `now` changes the state as of `now`.
/// * `take` always charges, and later answers of `ready_at` take that charge into account.
/// * If nobody else takes permits, the answer of `ready_at` stays true: asked again at that time
///   for the same permits, it answers "now".
/// * If nobody takes permits, `used` is 0 from `full_at` on. Such a state may be replaced with a
///   new one at any time: a keyed limiter drops the states of idle keys.
/// * No method panics. Where a number does not fit, saturate in the direction that admits less.
///
/// # What a rule can rely on
///
/// The changes of one state have a `now` that never decreases. A question may be about a later time
/// than the next change. Permits are at most [`limit`](Self::limit), except in
/// [`ready_at`](Self::ready_at), [`take`](Self::take), [`give_back`](Self::give_back) and
/// [`refused_by`](Self::refused_by).
///
/// # Example
///
/// ```
/// use tollgate::algorithm::{Algorithm, Whole};
/// use tollgate::{Limiter, Quota, QuotaError, RateLimiter, Timestamp};
///
/// /// Admits the quota's burst once, and never again.
/// #[derive(Clone, Debug)]
/// struct OneShot(Quota);
///
/// impl Algorithm for OneShot {
///     type State = u128;
///     type Packed = Whole<u128>;
///     fn quota(&self) -> Quota { self.0 }
///     fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> { Ok(OneShot(quota)) }
///     fn start(&self, _: Timestamp, used: u128) -> u128 { used }
///     fn used(&self, state: &u128, _: Timestamp) -> u128 { *state }
///     fn ready_at(&self, state: &u128, now: Timestamp, permits: u64) -> Timestamp {
///         let fits = state.saturating_add(permits.into()) <= self.limit().into();
///         if fits { now } else { Timestamp::MAX }
///     }
///     fn take(&self, state: &mut u128, _: Timestamp, permits: u64) {
///         *state = state.saturating_add(permits.into());
///     }
///     fn give_back(&self, state: &mut u128, _: Timestamp, permits: u64) {
///         *state = state.saturating_sub(permits.into());
///     }
///     fn full_at(&self, state: &u128, now: Timestamp) -> Timestamp {
///         if *state == 0 { now } else { Timestamp::MAX }
///     }
/// }
///
/// let limiter = Limiter::from_algorithm(OneShot(Quota::per_second(2)));
/// assert!(limiter.allow_n(2));
/// assert!(!limiter.allow());
/// ```
pub trait Algorithm: Clone + Debug + Send + Sync + 'static {
    /// What the rule stores between two decisions.
    type State: Clone + Debug + Send + Sync + 'static;

    /// How a [keyed limiter](crate::Keyed) stores a state. [`Whole`], which stores the state as it
    /// is, is right for every rule. See [`Packed`] for smaller forms.
    type Packed: Packed<Self>;

    /// Whether the wait for `a + b` permits is as long as a wait for `a` permits followed by a wait
    /// for `b`. This is true of steady refill without loss.
    ///
    /// If it is true, a limiter computes the wait behind a queue from the sum of the permits,
    /// instead of going through the queue. `false` is right for every rule.
    fn is_cumulative(&self) -> bool {
        false
    }

    /// Whether a waiter that is served a little late counts as served when it was due.
    ///
    /// If so, late timers do not lower the rate. A rule that promises something about the times at
    /// which permits are really used returns `false`.
    fn catches_up(&self) -> bool {
        true
    }

    /// The quota that the rule enforces.
    fn quota(&self) -> Quota;

    /// The same rule for another quota.
    ///
    /// # Errors
    ///
    /// When the rule can't enforce that quota.
    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError>;

    /// The largest request that can ever pass; [`u64::MAX`] if there is no limit.
    fn limit(&self) -> u64 {
        self.quota().burst_size()
    }

    /// A new state with `used` permits in use at `now`: 0 means full, more than the limit means
    /// debt.
    fn start(&self, now: Timestamp, used: u128) -> Self::State;

    /// Turns a state that is full at `now` into the one that [`start`](Self::start) would make. A
    /// rule whose full states all behave alike, whenever they were started, can do nothing here.
    fn restart(&self, state: &mut Self::State, now: Timestamp) {
        *state = self.start(now, 0);
    }

    /// **The decision**: the earliest time, not before `now`, at which `permits` can be taken if
    /// nobody else takes any, rounded up to a nanosecond. `now` itself means that they can be taken
    /// now; [`Timestamp::MAX`] means never.
    ///
    /// `permits` may be 0 (when is a debt paid?) or more than the limit. For more than the limit,
    /// the answer is when that many permits will have arrived, or never.
    fn ready_at(&self, state: &Self::State, now: Timestamp, permits: u64) -> Timestamp;

    /// Takes `permits` if they are available at `now`. Returns whether it took them.
    ///
    /// ```
    /// use tollgate::algorithm::{Algorithm, GreedyRefill};
    /// use tollgate::{Quota, Timestamp};
    ///
    /// let rule = GreedyRefill::try_from(Quota::per_hour(1))?;
    /// let mut state = rule.start(Timestamp::ZERO, 0);
    /// assert!(rule.try_take(&mut state, Timestamp::ZERO, 1));
    /// assert!(!rule.try_take(&mut state, Timestamp::ZERO, 1));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[inline]
    fn try_take(&self, state: &mut Self::State, now: Timestamp, permits: u64) -> bool {
        let ready = permits <= self.limit() && self.ready_at(state, now, permits) <= now;
        if ready {
            self.take(state, now, permits);
        }
        ready
    }

    /// Takes `permits` at `now`, even if fewer are available: the shortfall becomes debt.
    fn take(&self, state: &mut Self::State, now: Timestamp, permits: u64);

    /// Does the same as [`take`](Self::take), for a grant that may be cancelled later. `receipt`
    /// names the grant; its number is higher than the numbers of all earlier grants.
    ///
    /// With the default of this method and of [`undo`](Self::undo), a reservation or a granted wait
    /// that is cancelled gives nothing back. That is safe: it never admits too much.
    fn hold(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        let _ = receipt;
        self.take(state, now, permits);
    }

    /// Makes `permits` of a held grant final: they will not be cancelled.
    fn release(&self, state: &mut Self::State, permits: u64, receipt: Receipt) {
        let _ = (state, permits, receipt);
    }

    /// Cancels `permits` of a held grant. It gives back at most what has not been refilled since
    /// the grant.
    fn undo(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        let _ = (state, now, permits, receipt);
    }

    /// Gives `permits` back at `now` because the caller asked for it. What exceeds a full state is
    /// discarded.
    fn give_back(&self, state: &mut Self::State, now: Timestamp, permits: u64);

    /// Permits in use at `now`. Fractions are rounded up.
    fn used(&self, state: &Self::State, now: Timestamp) -> u128;

    /// The earliest time, not before `now`, at which no permit is in use if nobody takes any.
    fn full_at(&self, state: &Self::State, now: Timestamp) -> Timestamp;

    /// The state of this rule after it has replaced the rule `previous` with the state `state` at
    /// `now`. The default carries over a whole number of permits.
    fn carry_over(
        &self,
        previous: &Self,
        state: &Self::State,
        now: Timestamp,
        how: CarryOver,
    ) -> Self::State {
        let used = previous.used(state, now);
        self.start(now, arith::carry_over(used, previous.limit().into(), self.limit().into(), how))
    }

    /// For a rule of several limits: which of them makes `permits` wait longest.
    fn refused_by(&self, state: &Self::State, now: Timestamp, permits: u64) -> WhichLimit {
        let _ = (state, now, permits);
        WhichLimit::Only
    }
}
