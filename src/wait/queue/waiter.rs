//! A waiter, its ticket, and how its wait ends.

use std::task::Waker;
use std::time::Duration;

use crate::answer::Taken;
use crate::wakers::Wakers;
use crate::{Timestamp, WaitError};

/// A place in the queue. Tickets count up, so their order is the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(super) u64);

impl Ticket {
    pub(crate) const FIRST: Self = Self(0);

    /// How many tickets were given before this one.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The ticket after this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Served(Taken),
    Failed(WaitError),
    /// The waiter was due long before this was noticed, and has missed its turn: its permits are
    /// spent. Once the waiter looks itself, it is the next to be served.
    Missed {
        deadline: Timestamp,
    },
}

/// A waiter that moves up is woken once it would be late by more than this fraction of its
/// remaining wait, plus [`MOMENT`].
const TOLERATED: u32 = 8;

/// See [`TOLERATED`].
const MOMENT: Duration = Duration::from_micros(500);

/// A waiter, or the holder of a reservation.
#[derive(Debug)]
pub(crate) struct Waiter<Q> {
    pub(crate) ask: Q,
    /// The number of permits in `ask`.
    pub(super) permits: u64,
    /// When it will be served, without the drift since all due times were last computed.
    pub(crate) due: Timestamp,
    /// When it looks at the limiter by itself, because its timer ends.
    pub(super) alarm: Timestamp,
    /// It cannot use permits after this time.
    pub(crate) deadline: Timestamp,
    /// Whether it is a reservation, whose holder sleeps by itself and need not look again.
    pub(crate) is_promise: bool,
    /// When it can be served from buckets that no earlier waiter claims.
    pub(crate) unclaimed_at: Timestamp,
    pub(super) waker: Option<Waker>,
}

impl<Q> Waiter<Q> {
    pub(super) fn new(
        ask: Q,
        permits: u64,
        due: Timestamp,
        alarm: Timestamp,
        deadline: Timestamp,
        waker: Option<Waker>,
    ) -> Self {
        let (is_promise, unclaimed_at) = (false, Timestamp::MAX);
        Self { ask, permits, due, alarm, deadline, is_promise, unclaimed_at, waker }
    }

    /// Wakes the waiter, which is due at `due`, if it would look much later by itself. A few
    /// departures do not move it far enough.
    pub(super) fn wake_if_late(&mut self, due: Timestamp, now: Timestamp, wakers: &mut Wakers) {
        if self.alarm - due > (due - now) / TOLERATED + MOMENT {
            self.alarm = due;
            wakers.push(self.waker.take());
        }
    }
}

/// `due` moved by `drift` nanoseconds, to a later time if `drift` is positive.
pub(crate) fn moved(due: Timestamp, drift: i128) -> Timestamp {
    let nanos = i128::from(due.as_nanos()).saturating_add(drift).max(0);
    Timestamp::from_wide(nanos.unsigned_abs())
}
