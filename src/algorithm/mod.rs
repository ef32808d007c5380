//! The decision, and nothing else: pure functions of (state, now, permits). No clock, no lock, no
//! float, no I/O.
//!
//! | rule | admits in any window of one period, at most | memory |
//! |---|---|---|
//! | [`GreedyRefill`] | burst + rate | 24 bytes |
//! | [`IntervalRefill`] | burst + rate | 128 bytes |
//! | [`FixedWindow`] | 2 x limit | 128 bytes |
//! | [`SlidingWindow`] | 2 x limit, at an even load 1 x | 32 bytes |
//! | [`StrictWindow`] | limit | up to 66 x 24 bytes |
//! | [`AllOf`] | what its strictest limit does | the sum |

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
pub use fixed_window::FixedWindow;
#[cfg(feature = "llm")]
pub(crate) use greedy::Scale;
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

/// In a state of which nothing may be given back: the number of the first grant that may.
const NO_RECEIPTS: u64 = u64::MAX;

/// Whether the rule is one of ours, which never panic.
pub(crate) fn is_ours<A: 'static>() -> bool {
    let it = TypeId::of::<A>();
    it == TypeId::of::<GreedyRefill>()
        || it == TypeId::of::<IntervalRefill>()
        || it == TypeId::of::<FixedWindow>()
        || it == TypeId::of::<SlidingWindow>()
        || it == TypeId::of::<StrictWindow>()
}

/// A rule for when permits are there. Every limiter accepts any rule; write your own by
/// implementing this.
///
/// There is one decision, [`ready_at`](Self::ready_at); a request passes if the answer is `now`.
/// Everything a limiter offers follows from it. Usage is counted in permits *used*, from 0 (full)
/// over the limit (empty) to beyond it (debt).
///
/// Containers call with a `now` that never decreases, and never with more permits than
/// [`limit`](Self::limit) except where a method says so. No method may panic: saturate, in the
/// direction that admits less.
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
///         let fits = *state + u128::from(permits) <= u128::from(self.limit());
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
    /// What the rule remembers between two decisions.
    type State: Clone + Debug + Send + Sync + 'static;

    /// How a [keyed limiter](crate::Keyed) keeps a state: [`Whole`] as it is, or [`Packed`] into less.
    type Packed: Packed<Self>;

    /// Whether the wait for `a + b` permits ends when a wait for `a` and then one for `b` would:
    /// true for steady refill without loss. It lets a limiter quote the wait behind a queue at
    /// once instead of going through it; `false` is always right.
    fn is_cumulative(&self) -> bool {
        false
    }

    /// Whether a waiter who is noticed a little late may be served as of the time when it was due. It keeps the
    /// full rate in spite of late timers. A rule that promises something of the times at which permits are really
    /// used says `false`.
    fn catches_up(&self) -> bool {
        true
    }

    /// The quota that is kept.
    fn quota(&self) -> Quota;

    /// The same rule for another quota.
    ///
    /// # Errors
    ///
    /// When the rule can't keep that quota.
    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError>;

    /// The most permits that can be taken at once; [`u64::MAX`] if there is no limit.
    fn limit(&self) -> u64 {
        self.quota().burst_size()
    }

    /// A state with `used` permits in use at `now`: 0 is full, more than the limit is debt.
    fn start(&self, now: Timestamp, used: u128) -> Self::State;

    /// Makes a state that is full at `now` the one that [`start`](Self::start) would give. Where the
    /// state has no phase of its own, there is nothing to do.
    fn restart(&self, state: &mut Self::State, now: Timestamp) {
        *state = self.start(now, 0);
    }

    /// **The decision**: the earliest time, not before `now`, at which `permits` can be taken if
    /// nobody else takes any. `now` itself means they can be taken now; [`Timestamp::MAX`] means
    /// never. Rounded up to a nanosecond.
    ///
    /// Also asked for more permits than the limit, to place debts: then the answer is when that
    /// many will have come, or never.
    fn ready_at(&self, state: &Self::State, now: Timestamp, permits: u64) -> Timestamp;

    /// Takes `permits` if they are there at `now`, and says whether they were.
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

    /// Takes `permits` at `now`, whether there or not: what is not there is owed.
    fn take(&self, state: &mut Self::State, now: Timestamp, permits: u64);

    /// As [`take`](Self::take), for a grant that may be cancelled later: `receipt` names it. Its number is
    /// higher than that of any grant before it.
    ///
    /// A rule of your own that keeps the default for this and for [`undo`](Self::undo) gives nothing back when a
    /// reservation or a granted wait is cancelled. That is safe: it never admits too much.
    fn hold(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        let _ = receipt;
        self.take(state, now, permits);
    }

    /// `permits` of a held grant are final: they will not be given back.
    fn release(&self, state: &mut Self::State, permits: u64, receipt: Receipt) {
        let _ = (state, permits, receipt);
    }

    /// `permits` of a held grant are cancelled: gives back at most what has not come back by itself since.
    fn undo(&self, state: &mut Self::State, now: Timestamp, permits: u64, receipt: Receipt) {
        let _ = (state, now, permits, receipt);
    }

    /// Gives `permits` back at `now` because the caller says so; never beyond full.
    fn give_back(&self, state: &mut Self::State, now: Timestamp, permits: u64);

    /// Permits in use at `now`, parts rounded up.
    fn used(&self, state: &Self::State, now: Timestamp) -> u128;

    /// The earliest time, not before `now`, at which nothing is used any more.
    fn full_at(&self, state: &Self::State, now: Timestamp) -> Timestamp;

    /// The state after `previous`, with its `state`, was replaced by this rule at `now`. The
    /// default carries whole permits over.
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

    /// Which of several limits is the one that makes `permits` wait longest.
    fn refused_by(&self, state: &Self::State, now: Timestamp, permits: u64) -> WhichLimit {
        let _ = (state, now, permits);
        WhichLimit::Only
    }
}
