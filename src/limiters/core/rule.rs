//! The interface between a core and its rule.

use std::fmt::Debug;

use super::Buckets;
use crate::algorithm::{Algorithm, Receipt};
use crate::answer::Taken;
use crate::{Quota, Rejection, Timestamp, WhichLimit};

/// A rule as the core sees it. It is more general than an [`Algorithm`]: a request may be more than
/// a number of permits, and one of several buckets serves it.
pub(crate) trait Rule: Clone + Debug + Send + Sync + 'static {
    type State: Clone + Debug + Send + Sync + 'static;
    type Ask: Copy + Debug + Send + Sync + 'static;

    /// Whether the rule may answer [`UNKNOWN`](super::UNKNOWN), and answers [`Timestamp::MAX`] only
    /// for requests that can never pass. For all other rules both are ordinary times.
    const OPEN_ENDED: bool;

    /// The number of permits of a request, for counters and sums.
    fn permits(ask: Self::Ask) -> u64;

    /// A request for `permits`.
    fn ask(permits: u64) -> Self::Ask;

    /// Why `ask` can never pass, if it cannot.
    fn never(&self, state: &Self::State, now: Timestamp, ask: Self::Ask) -> Option<Rejection>;

    /// When `ask` can be taken if no other request takes anything.
    fn ready_at(&self, state: &Self::State, now: Timestamp, ask: Self::Ask) -> Timestamp;

    /// The time from which `ask` could be taken at the soonest, if something may happen that serves
    /// it before [`ready_at`](Self::ready_at), and nobody knows when. `None` if nothing may.
    fn may_be_sooner(&self, _: &Self::State, _: Timestamp, _: Self::Ask) -> Option<Timestamp> {
        None
    }

    /// Takes `ask` if it is available, and returns from which bucket.
    fn try_take(&self, state: &mut Self::State, now: Timestamp, ask: Self::Ask) -> Option<u32>;

    /// Takes `ask`, even if it is not available, and returns from which bucket.
    fn take(&self, state: &mut Self::State, now: Timestamp, ask: Self::Ask) -> u32;

    /// As [`try_take`](Self::try_take), for a grant that may be given back.
    fn try_hold(
        &self,
        state: &mut Self::State,
        now: Timestamp,
        ask: Self::Ask,
        receipt: Receipt,
    ) -> Option<u32>;

    /// As [`take`](Self::take), for a grant to the `nth` waiter that may be given back.
    fn hold(
        &self,
        state: &mut Self::State,
        now: Timestamp,
        ask: Self::Ask,
        nth: u64,
        receipt: Receipt,
    ) -> u32;

    /// The buckets that could ever serve `ask`. A waiter has a claim to all of these, and later
    /// requests may use all other buckets. This method, [`try_hold_beside`](Self::try_hold_beside)
    /// and [`ready_beside`](Self::ready_beside) are called only for rules that are
    /// [open-ended](Self::OPEN_ENDED).
    fn able(&self, state: &Self::State, ask: Self::Ask) -> Buckets;

    /// As [`try_hold`](Self::try_hold), from a bucket that is not in `claims`.
    fn try_hold_beside(
        &self,
        state: &mut Self::State,
        now: Timestamp,
        ask: Self::Ask,
        nth: u64,
        receipt: Receipt,
        claims: &Buckets,
    ) -> Option<u32>;

    /// When a bucket that is not in `claims` can serve `ask`; never, if there is none.
    fn ready_beside(
        &self,
        state: &Self::State,
        now: Timestamp,
        ask: Self::Ask,
        claims: &Buckets,
    ) -> Timestamp;

    /// The times from which each bucket is free of the waiters before.
    type Turns: Clone + Debug + Default + Send + Sync + 'static;

    /// When a bucket can first serve `ask` behind the waiters before it, not before `from`, and
    /// which bucket. It must be the bucket that will in fact serve the request, or the plan is
    /// wrong.
    fn ready_behind(
        &self,
        state: &Self::State,
        turns: &Self::Turns,
        from: Timestamp,
        ask: Self::Ask,
        nth: u64,
    ) -> (Timestamp, u32);

    /// Takes `ask` from bucket `by` at `at`. Until then, all buckets that could serve `ask` are not
    /// free for the waiters behind it.
    fn take_behind(
        &self,
        state: &mut Self::State,
        turns: &mut Self::Turns,
        at: Timestamp,
        by: u32,
        ask: Self::Ask,
    );

    /// Makes a grant final.
    fn release(&self, state: &mut Self::State, ask: Self::Ask, taken: Taken);

    /// Gives a grant back, except for what was refilled since.
    fn undo(&self, state: &mut Self::State, now: Timestamp, ask: Self::Ask, taken: Taken);

    /// Which limit refuses `ask`.
    fn refused_by(&self, state: &Self::State, now: Timestamp, ask: Self::Ask) -> WhichLimit;

    /// The permits in use.
    fn used(&self, state: &Self::State, now: Timestamp) -> u128;

    /// The most permits that can be taken at once.
    fn limit(&self) -> u64;

    /// When no permit will be in use any more.
    fn full_at(&self, state: &Self::State, now: Timestamp) -> Timestamp;

    fn quota(&self) -> Quota;

    /// See [`Algorithm::is_cumulative`]. Only for rules whose requests are numbers of permits.
    fn is_cumulative(&self) -> bool;

    /// See [`Algorithm::catches_up`].
    fn catches_up(&self) -> bool;
}

impl<A: Algorithm> Rule for A {
    type State = A::State;
    type Ask = u64;
    type Turns = Timestamp;

    const OPEN_ENDED: bool = false;

    #[inline]
    fn permits(ask: u64) -> u64 {
        ask
    }

    #[inline]
    fn ask(permits: u64) -> u64 {
        permits
    }

    fn never(&self, state: &A::State, now: Timestamp, permits: u64) -> Option<Rejection> {
        let burst = Algorithm::limit(self);
        (permits > burst).then(|| Rejection::ExceedsBurst {
            requested: permits,
            burst,
            limit: Algorithm::refused_by(self, state, now, permits),
        })
    }

    #[inline]
    fn ready_at(&self, state: &A::State, now: Timestamp, permits: u64) -> Timestamp {
        Algorithm::ready_at(self, state, now, permits)
    }

    #[inline]
    fn try_take(&self, state: &mut A::State, now: Timestamp, permits: u64) -> Option<u32> {
        Algorithm::try_take(self, state, now, permits).then_some(0)
    }

    #[inline]
    fn take(&self, state: &mut A::State, now: Timestamp, permits: u64) -> u32 {
        Algorithm::take(self, state, now, permits);
        0
    }

    fn try_hold(
        &self,
        state: &mut A::State,
        now: Timestamp,
        permits: u64,
        receipt: Receipt,
    ) -> Option<u32> {
        let ready = permits <= Algorithm::limit(self)
            && Algorithm::ready_at(self, state, now, permits) <= now;
        ready.then(|| Rule::hold(self, state, now, permits, 0, receipt))
    }

    fn hold(
        &self,
        state: &mut A::State,
        now: Timestamp,
        permits: u64,
        _: u64,
        receipt: Receipt,
    ) -> u32 {
        Algorithm::hold(self, state, now, permits, receipt);
        0
    }

    fn able(&self, _: &A::State, _: u64) -> Buckets {
        Buckets::default()
    }

    fn try_hold_beside(
        &self,
        _: &mut A::State,
        _: Timestamp,
        _: u64,
        _: u64,
        _: Receipt,
        _: &Buckets,
    ) -> Option<u32> {
        None
    }

    fn ready_beside(&self, _: &A::State, _: Timestamp, _: u64, _: &Buckets) -> Timestamp {
        Timestamp::MAX
    }

    fn ready_behind(
        &self,
        state: &A::State,
        turn: &Timestamp,
        from: Timestamp,
        permits: u64,
        _: u64,
    ) -> (Timestamp, u32) {
        (Algorithm::ready_at(self, state, from.max(*turn), permits), 0)
    }

    fn take_behind(
        &self,
        state: &mut A::State,
        turn: &mut Timestamp,
        at: Timestamp,
        _: u32,
        permits: u64,
    ) {
        *turn = at;
        Algorithm::take(self, state, at, permits);
    }

    fn release(&self, state: &mut A::State, permits: u64, taken: Taken) {
        Algorithm::release(self, state, permits, taken.receipt);
    }

    fn undo(&self, state: &mut A::State, now: Timestamp, permits: u64, taken: Taken) {
        Algorithm::undo(self, state, now, permits, taken.receipt);
    }

    fn refused_by(&self, state: &A::State, now: Timestamp, permits: u64) -> WhichLimit {
        Algorithm::refused_by(self, state, now, permits)
    }

    fn used(&self, state: &A::State, now: Timestamp) -> u128 {
        Algorithm::used(self, state, now)
    }

    fn limit(&self) -> u64 {
        Algorithm::limit(self)
    }

    fn full_at(&self, state: &A::State, now: Timestamp) -> Timestamp {
        Algorithm::full_at(self, state, now)
    }

    fn quota(&self) -> Quota {
        Algorithm::quota(self)
    }

    fn is_cumulative(&self) -> bool {
        Algorithm::is_cumulative(self)
    }

    fn catches_up(&self) -> bool {
        Algorithm::catches_up(self)
    }
}
