//! A rule of one's own: greedy or interval refill, so that limits of both styles fit one list.

use tollgate::algorithm::{Algorithm, AllOf, GreedyRefill, IntervalRefill, Receipt, Whole};
use tollgate::{CarryOver, Limiter, ManualClock, Quota, QuotaError, Timestamp};

/// All limits of a vector as one rule.
pub(crate) type Rules = AllOf<AnyRule>;

/// The limiter that vectors run on.
pub(crate) type VectorLimiter = Limiter<Rules, ManualClock>;

#[derive(Clone, Debug)]
pub(crate) enum AnyRule {
    Greedy(GreedyRefill),
    Interval(IntervalRefill),
}

#[derive(Clone, Debug)]
pub(crate) enum AnyState {
    Greedy(<GreedyRefill as Algorithm>::State),
    Interval(<IntervalRefill as Algorithm>::State),
}

/// Runs `$call` on the rule and the state of its own kind. A rule never meets another one's state.
macro_rules! on_own_state {
    ($rule:expr, $state:expr, |$r:ident, $s:ident| $call:expr) => {
        match ($rule, $state) {
            (AnyRule::Greedy($r), AnyState::Greedy($s)) => $call,
            (AnyRule::Interval($r), AnyState::Interval($s)) => $call,
            _ => unreachable!("the state of another rule"),
        }
    };
}

impl Algorithm for AnyRule {
    type State = AnyState;
    type Packed = Whole<AnyState>;

    fn quota(&self) -> Quota {
        match self {
            Self::Greedy(rule) => rule.quota(),
            Self::Interval(rule) => rule.quota(),
        }
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        Ok(match self {
            Self::Greedy(rule) => Self::Greedy(rule.with_quota(quota)?),
            Self::Interval(rule) => Self::Interval(rule.with_quota(quota)?),
        })
    }

    fn start(&self, now: Timestamp, used: u128) -> AnyState {
        match self {
            Self::Greedy(rule) => AnyState::Greedy(rule.start(now, used)),
            Self::Interval(rule) => AnyState::Interval(rule.start(now, used)),
        }
    }

    fn ready_at(&self, state: &AnyState, now: Timestamp, permits: u64) -> Timestamp {
        on_own_state!(self, state, |rule, state| rule.ready_at(state, now, permits))
    }

    fn take(&self, state: &mut AnyState, now: Timestamp, permits: u64) {
        on_own_state!(self, state, |rule, state| rule.take(state, now, permits));
    }

    fn hold(&self, state: &mut AnyState, now: Timestamp, permits: u64, receipt: Receipt) {
        on_own_state!(self, state, |rule, state| rule.hold(state, now, permits, receipt));
    }

    fn release(&self, state: &mut AnyState, permits: u64, receipt: Receipt) {
        on_own_state!(self, state, |rule, state| rule.release(state, permits, receipt));
    }

    fn undo(&self, state: &mut AnyState, now: Timestamp, permits: u64, receipt: Receipt) {
        on_own_state!(self, state, |rule, state| rule.undo(state, now, permits, receipt));
    }

    fn give_back(&self, state: &mut AnyState, now: Timestamp, permits: u64) {
        on_own_state!(self, state, |rule, state| rule.give_back(state, now, permits));
    }

    fn used(&self, state: &AnyState, now: Timestamp) -> u128 {
        on_own_state!(self, state, |rule, state| rule.used(state, now))
    }

    fn full_at(&self, state: &AnyState, now: Timestamp) -> Timestamp {
        on_own_state!(self, state, |rule, state| rule.full_at(state, now))
    }

    fn carry_over(
        &self,
        previous: &Self,
        state: &AnyState,
        now: Timestamp,
        how: CarryOver,
    ) -> AnyState {
        match (self, previous, state) {
            (Self::Greedy(new), Self::Greedy(old), AnyState::Greedy(state)) => {
                AnyState::Greedy(new.carry_over(old, state, now, how))
            }
            (Self::Interval(new), Self::Interval(old), AnyState::Interval(state)) => {
                AnyState::Interval(new.carry_over(old, state, now, how))
            }
            // From one style to the other: within the old style first, then in whole permits.
            (_, Self::Greedy(_), _) => {
                let same_style = GreedyRefill::try_from(self.quota()).map(Self::Greedy);
                self.restyled(same_style, previous, state, now, how)
            }
            (_, Self::Interval(_), _) => {
                let same_style = IntervalRefill::try_from(self.quota()).map(Self::Interval);
                self.restyled(same_style, previous, state, now, how)
            }
        }
    }
}

impl AnyRule {
    fn restyled(
        &self,
        same_style: Result<Self, QuotaError>,
        previous: &Self,
        state: &AnyState,
        now: Timestamp,
        how: CarryOver,
    ) -> AnyState {
        let rule = same_style.expect("every rule of this crate takes the same quotas");
        let state = rule.carry_over(previous, state, now, how);
        self.start(now, rule.used(&state, now))
    }
}
