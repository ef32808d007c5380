//! The client's clock: begun at another time than the servers', and a little too fast or slow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use tollgate::{Clock, ManualClock, Timestamp};

use super::Nanos;

/// A manual clock that remembers when somebody wants to be woken.
#[derive(Clone, Debug)]
pub(crate) struct SkewedClock {
    clock: ManualClock,
    alarms: Arc<Mutex<BTreeSet<Nanos>>>,
    offset: Nanos,
    /// Too fast by so many millionths.
    drift: i64,
}

impl SkewedClock {
    pub(crate) fn new(offset: Nanos, drift: i64) -> Self {
        let new = Self { clock: ManualClock::new(), alarms: Arc::default(), offset, drift };
        new.set(0);
        new
    }

    fn shown_at(&self, at: Nanos) -> Nanos {
        let drift = i128::from(at) * i128::from(self.drift) / 1_000_000;
        u64::try_from(i128::from(at) + drift).unwrap() + self.offset
    }

    /// Moves on to what it shows when it is `at` for the servers.
    pub(crate) fn set(&self, at: Nanos) {
        let shown = self.shown_at(at);
        let mut alarms = self.alarms.lock().unwrap();
        while alarms.first().is_some_and(|alarm| *alarm <= shown) {
            alarms.pop_first();
        }
        drop(alarms);
        self.clock.set(Timestamp::from_nanos(shown));
    }

    /// The servers' time when it shows `shown`.
    pub(crate) fn time_of(&self, shown: Nanos) -> Nanos {
        let drift = 1_000_000 + i128::from(self.drift);
        let at = i128::from(shown - self.offset) * 1_000_000 / drift;
        let mut at = u64::try_from(at).unwrap().saturating_sub(1);
        while self.shown_at(at) < shown {
            at += 1;
        }
        at
    }

    pub(crate) fn next_alarm(&self) -> Option<Nanos> {
        self.alarms.lock().unwrap().first().copied()
    }

    pub(crate) fn shown(&self) -> Nanos {
        self.clock.now().as_nanos()
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        if deadline > self.now() {
            self.alarms.lock().unwrap().insert(deadline.as_nanos());
        }
        self.clock.wake_at(deadline, waker)
    }
}
