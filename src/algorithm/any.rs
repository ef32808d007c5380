//! Rules of any type behind one type, for limits whose rule is chosen when the limiter is built.
//!
//! A token bucket, the usual choice, is stored as it is. Other rules and their states are trait
//! objects.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use super::{Algorithm, GreedyRefill, Receipt, Whole};
#[cfg(feature = "shared")]
use super::{FixedWindow, IntervalState};
use crate::{CarryOver, Quota, QuotaError, Timestamp, WhichLimit};

type Greedy = <GreedyRefill as Algorithm>::State;

/// A rule of any type.
#[derive(Clone, Debug)]
pub(crate) enum AnyRule {
    Greedy(GreedyRefill),
    Other(Arc<dyn ObjectRule>),
}

/// The state of a rule of any type.
#[derive(Debug)]
pub(crate) enum AnyState {
    Greedy(Greedy),
    Other(Box<dyn ObjectState>),
}

impl AnyRule {
    pub(crate) fn new<A: Algorithm>(rule: A) -> Self {
        match (&rule as &dyn Any).downcast_ref::<GreedyRefill>() {
            Some(greedy) => Self::Greedy(*greedy),
            None => Self::Other(Arc::new(rule)),
        }
    }

    /// The rule and its state, if the rule is a fixed window.
    #[cfg(feature = "shared")]
    pub(crate) fn as_fixed_window<'a>(
        &'a self,
        state: &'a AnyState,
    ) -> Option<(&'a FixedWindow, &'a IntervalState)> {
        let Self::Other(rule) = self else { return None };
        Some(((**rule).as_any().downcast_ref()?, state.object().downcast_ref()?))
    }
}

impl Clone for AnyState {
    fn clone(&self) -> Self {
        match self {
            Self::Greedy(state) => Self::Greedy(state.clone()),
            Self::Other(state) => Self::Other((**state).boxed_clone()),
        }
    }
}

/// A state as a trait object.
pub(crate) trait ObjectState: Any + Debug + Send + Sync {
    fn boxed_clone(&self) -> Box<dyn ObjectState>;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

impl<S: Any + Clone + Debug + Send + Sync> ObjectState for S {
    fn boxed_clone(&self) -> Box<dyn ObjectState> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// The methods of [`Algorithm`] in a form that allows trait objects. No limiter passes a state of
/// another type of rule; such a state would count as used up for ever.
pub(crate) trait ObjectRule: Any + Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is_cumulative(&self) -> bool;
    fn catches_up(&self) -> bool;
    fn quota(&self) -> Quota;
    fn with_quota(&self, quota: Quota) -> Result<AnyRule, QuotaError>;
    fn limit(&self) -> u64;
    fn start(&self, now: Timestamp, used: u128) -> Box<dyn ObjectState>;
    fn restart(&self, state: &mut dyn Any, now: Timestamp);
    fn ready_at(&self, state: &dyn Any, now: Timestamp, permits: u64) -> Timestamp;
    fn take(&self, state: &mut dyn Any, now: Timestamp, permits: u64);
    fn hold(&self, state: &mut dyn Any, now: Timestamp, permits: u64, receipt: Receipt);
    fn release(&self, state: &mut dyn Any, permits: u64, receipt: Receipt);
    fn undo(&self, state: &mut dyn Any, now: Timestamp, permits: u64, receipt: Receipt);
    fn give_back(&self, state: &mut dyn Any, now: Timestamp, permits: u64);
    fn used(&self, state: &dyn Any, now: Timestamp) -> u128;
    fn full_at(&self, state: &dyn Any, now: Timestamp) -> Timestamp;
    fn carry_over(
        &self,
        previous: &dyn Any,
        state: &dyn Any,
        now: Timestamp,
        how: CarryOver,
    ) -> Option<Box<dyn ObjectState>>;
    fn refused_by(&self, state: &dyn Any, now: Timestamp, permits: u64) -> WhichLimit;
}

impl<A: Algorithm> ObjectRule for A {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_cumulative(&self) -> bool {
        Algorithm::is_cumulative(self)
    }

    fn catches_up(&self) -> bool {
        Algorithm::catches_up(self)
    }

    fn quota(&self) -> Quota {
        Algorithm::quota(self)
    }

    fn with_quota(&self, quota: Quota) -> Result<AnyRule, QuotaError> {
        Algorithm::with_quota(self, quota).map(AnyRule::new)
    }

    fn limit(&self) -> u64 {
        Algorithm::limit(self)
    }

    fn start(&self, now: Timestamp, used: u128) -> Box<dyn ObjectState> {
        Box::new(Algorithm::start(self, now, used))
    }

    fn restart(&self, state: &mut dyn Any, now: Timestamp) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::restart(self, state, now);
        }
    }

    fn ready_at(&self, state: &dyn Any, now: Timestamp, permits: u64) -> Timestamp {
        let ready = |state| Algorithm::ready_at(self, state, now, permits);
        state.downcast_ref().map_or(Timestamp::MAX, ready)
    }

    fn take(&self, state: &mut dyn Any, now: Timestamp, permits: u64) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::take(self, state, now, permits);
        }
    }

    fn hold(&self, state: &mut dyn Any, now: Timestamp, permits: u64, receipt: Receipt) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::hold(self, state, now, permits, receipt);
        }
    }

    fn release(&self, state: &mut dyn Any, permits: u64, receipt: Receipt) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::release(self, state, permits, receipt);
        }
    }

    fn undo(&self, state: &mut dyn Any, now: Timestamp, permits: u64, receipt: Receipt) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::undo(self, state, now, permits, receipt);
        }
    }

    fn give_back(&self, state: &mut dyn Any, now: Timestamp, permits: u64) {
        if let Some(state) = state.downcast_mut() {
            Algorithm::give_back(self, state, now, permits);
        }
    }

    fn used(&self, state: &dyn Any, now: Timestamp) -> u128 {
        state.downcast_ref().map_or(u128::MAX, |state| Algorithm::used(self, state, now))
    }

    fn full_at(&self, state: &dyn Any, now: Timestamp) -> Timestamp {
        let full = |state| Algorithm::full_at(self, state, now);
        state.downcast_ref().map_or(Timestamp::MAX, full)
    }

    fn carry_over(
        &self,
        previous: &dyn Any,
        state: &dyn Any,
        now: Timestamp,
        how: CarryOver,
    ) -> Option<Box<dyn ObjectState>> {
        let (previous, state) = (previous.downcast_ref()?, state.downcast_ref()?);
        Some(Box::new(Algorithm::carry_over(self, previous, state, now, how)))
    }

    fn refused_by(&self, state: &dyn Any, now: Timestamp, permits: u64) -> WhichLimit {
        let refused_by = |state| Algorithm::refused_by(self, state, now, permits);
        state.downcast_ref().map_or(WhichLimit::Only, refused_by)
    }
}

impl AnyState {
    fn object(&self) -> &dyn Any {
        match self {
            Self::Greedy(state) => state,
            Self::Other(state) => (**state).as_any(),
        }
    }

    fn object_mut(&mut self) -> &mut dyn Any {
        match self {
            Self::Greedy(state) => state,
            Self::Other(state) => (**state).as_any_mut(),
        }
    }
}

/// Calls a method of the rule with its state: directly for a token bucket, else on a trait object.
macro_rules! call {
    ($self:ident, $state:ident.$object:ident, $method:ident($($argument:expr),*)) => {
        match ($self, $state) {
            (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                Algorithm::$method(rule, state, $($argument),*)
            }
            (AnyRule::Greedy(rule), state) => {
                ObjectRule::$method(rule, state.$object(), $($argument),*)
            }
            (AnyRule::Other(rule), state) => {
                ObjectRule::$method(&**rule, state.$object(), $($argument),*)
            }
        }
    };
}

impl Algorithm for AnyRule {
    type State = AnyState;
    type Packed = Whole<AnyState>;

    fn is_cumulative(&self) -> bool {
        match self {
            Self::Greedy(rule) => Algorithm::is_cumulative(rule),
            Self::Other(rule) => ObjectRule::is_cumulative(&**rule),
        }
    }

    fn catches_up(&self) -> bool {
        match self {
            Self::Greedy(rule) => Algorithm::catches_up(rule),
            Self::Other(rule) => ObjectRule::catches_up(&**rule),
        }
    }

    fn quota(&self) -> Quota {
        match self {
            Self::Greedy(rule) => Algorithm::quota(rule),
            Self::Other(rule) => ObjectRule::quota(&**rule),
        }
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        match self {
            Self::Greedy(rule) => Algorithm::with_quota(rule, quota).map(Self::Greedy),
            Self::Other(rule) => ObjectRule::with_quota(&**rule, quota),
        }
    }

    #[inline]
    fn limit(&self) -> u64 {
        match self {
            Self::Greedy(rule) => Algorithm::limit(rule),
            Self::Other(rule) => ObjectRule::limit(&**rule),
        }
    }

    fn start(&self, now: Timestamp, used: u128) -> AnyState {
        match self {
            Self::Greedy(rule) => AnyState::Greedy(Algorithm::start(rule, now, used)),
            Self::Other(rule) => AnyState::Other(ObjectRule::start(&**rule, now, used)),
        }
    }

    fn restart(&self, state: &mut AnyState, now: Timestamp) {
        call!(self, state.object_mut, restart(now));
    }

    #[inline]
    fn ready_at(&self, state: &AnyState, now: Timestamp, permits: u64) -> Timestamp {
        call!(self, state.object, ready_at(now, permits))
    }

    #[inline]
    fn take(&self, state: &mut AnyState, now: Timestamp, permits: u64) {
        call!(self, state.object_mut, take(now, permits));
    }

    fn hold(&self, state: &mut AnyState, now: Timestamp, permits: u64, receipt: Receipt) {
        call!(self, state.object_mut, hold(now, permits, receipt));
    }

    fn release(&self, state: &mut AnyState, permits: u64, receipt: Receipt) {
        call!(self, state.object_mut, release(permits, receipt));
    }

    fn undo(&self, state: &mut AnyState, now: Timestamp, permits: u64, receipt: Receipt) {
        call!(self, state.object_mut, undo(now, permits, receipt));
    }

    fn give_back(&self, state: &mut AnyState, now: Timestamp, permits: u64) {
        call!(self, state.object_mut, give_back(now, permits));
    }

    #[inline]
    fn used(&self, state: &AnyState, now: Timestamp) -> u128 {
        call!(self, state.object, used(now))
    }

    fn full_at(&self, state: &AnyState, now: Timestamp) -> Timestamp {
        call!(self, state.object, full_at(now))
    }

    /// If both rules have the same type, the rule itself carries the state over. Otherwise a whole
    /// number of permits is carried over.
    fn carry_over(
        &self,
        previous: &Self,
        state: &AnyState,
        now: Timestamp,
        how: CarryOver,
    ) -> AnyState {
        let carried = match (self, previous) {
            (Self::Greedy(rule), Self::Greedy(previous)) => {
                if let AnyState::Greedy(state) = state {
                    return AnyState::Greedy(Algorithm::carry_over(
                        rule, previous, state, now, how,
                    ));
                }
                None
            }
            (Self::Other(rule), Self::Other(previous)) => {
                let previous = (**previous).as_any();
                ObjectRule::carry_over(&**rule, previous, state.object(), now, how)
            }
            _ => None,
        };
        if let Some(state) = carried {
            return AnyState::Other(state);
        }
        let used = Algorithm::used(previous, state, now);
        let (before, after) = (Algorithm::limit(previous), Algorithm::limit(self));
        let used = super::arith::carry_over(used, before.into(), after.into(), how);
        Algorithm::start(self, now, used)
    }

    fn refused_by(&self, state: &AnyState, now: Timestamp, permits: u64) -> WhichLimit {
        call!(self, state.object, refused_by(now, permits))
    }
}
