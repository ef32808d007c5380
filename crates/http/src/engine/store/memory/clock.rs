//! The clock of the buckets: the default one without a detour, or any other.

use std::sync::Arc;
use std::task::Waker;

use tollgate::{Clock, CounterClock, Timestamp};

/// The clock of the buckets.
#[derive(Clone)]
pub(crate) enum EngineClock {
    Counter(CounterClock),
    Other(Arc<dyn Clock>),
}

impl Default for EngineClock {
    fn default() -> Self {
        Self::Counter(CounterClock::new())
    }
}

impl Clock for EngineClock {
    #[inline]
    fn now(&self) -> Timestamp {
        match self {
            Self::Counter(clock) => clock.now(),
            Self::Other(clock) => clock.now(),
        }
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        match self {
            Self::Counter(clock) => clock.wake_at(deadline, waker),
            Self::Other(clock) => clock.wake_at(deadline, waker),
        }
    }
}
