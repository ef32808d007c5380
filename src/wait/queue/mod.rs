//! The queue of a limiter: a plain data structure under the limiter's lock.

mod waiter;

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

pub(crate) use waiter::{Outcome, Ticket, Waiter, moved};

use crate::answer::Taken;
use crate::wakers::Wakers;
use crate::{Timestamp, WaitError};

/// How many places behind one that is given up are searched for a waiter that can be woken.
const SEARCHED: usize = 16;

/// If the empty table of outcomes has room for more entries than this, its memory is freed.
const KEPT_CAPACITY: usize = 64;

/// A first-in, first-out queue from which any waiter can be removed. The outcome of a wait that has
/// ended is kept until its waiter fetches it.
#[derive(Debug)]
pub(crate) struct Queue<Q> {
    waiting: BTreeMap<Ticket, Waiter<Q>>,
    outcomes: HashMap<Ticket, (Q, Outcome)>,
    /// How many of the outcomes are missed turns.
    missed: usize,
    next: u64,
    /// The sum of the permits of all waiters.
    permits: u128,
    /// The most permits that one waiter has asked for since the queue was empty.
    widest: u64,
    /// No waiter has an earlier deadline than this.
    earliest_deadline: Timestamp,
}

impl<Q> Default for Queue<Q> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            outcomes: HashMap::new(),
            missed: 0,
            next: 0,
            permits: 0,
            widest: 0,
            earliest_deadline: Timestamp::MAX,
        }
    }
}

impl<Q: Copy> Queue<Q> {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody waits and no outcome is left to be fetched.
    pub(crate) fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.outcomes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The sum of the permits of all waiters.
    pub(crate) fn permits(&self) -> u128 {
        self.permits
    }

    /// The most permits that one waiter has asked for since the queue was empty.
    pub(crate) fn widest(&self) -> u64 {
        self.widest
    }

    /// No waiter has an earlier deadline than this.
    pub(crate) fn earliest_deadline(&self) -> Timestamp {
        self.earliest_deadline
    }

    /// Computes the earliest deadline anew.
    pub(crate) fn find_earliest_deadline(&mut self) {
        let deadlines = self.waiting.values().map(|waiter| waiter.deadline);
        self.earliest_deadline = deadlines.min().unwrap_or(Timestamp::MAX);
    }

    /// Adds a waiter that is `due` at a time without the drift, and looks by itself at `alarm`.
    pub(crate) fn push(
        &mut self,
        ask: Q,
        permits: u64,
        due: Timestamp,
        alarm: Timestamp,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Ticket {
        // Cloned before anything changes, because it may panic.
        let waker = waker.cloned();
        let ticket = Ticket(self.next);
        self.next += 1;
        let is_promise = waker.is_none();
        let waiter = Waiter::new(ask, permits, due, alarm, deadline, waker);
        self.insert(ticket, Waiter { is_promise, ..waiter });
        ticket
    }

    fn insert(&mut self, ticket: Ticket, waiter: Waiter<Q>) {
        let Waiter { permits, deadline, .. } = waiter;
        if self.is_empty() {
            (self.widest, self.earliest_deadline) = (permits, deadline);
        }
        self.widest = self.widest.max(permits);
        self.earliest_deadline = self.earliest_deadline.min(deadline);
        self.permits += u128::from(permits);
        self.waiting.insert(ticket, waiter);
    }

    /// The first waiter.
    pub(crate) fn head(&self) -> Option<(Ticket, &Waiter<Q>)> {
        self.waiting.first_key_value().map(|(ticket, waiter)| (*ticket, waiter))
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Waiter<Q>> {
        self.waiting.get(&ticket)
    }

    /// All waiters, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Waiter<Q>)> {
        self.waiting.iter().map(|(ticket, waiter)| (*ticket, waiter))
    }

    /// All waiters, in order, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Ticket, &mut Waiter<Q>)> {
        self.waiting.iter_mut().map(|(ticket, waiter)| (*ticket, waiter))
    }

    /// Ends a wait with a grant at `now`. Its waiter is woken only if it would look later by
    /// itself.
    pub(crate) fn grant(
        &mut self,
        ticket: Ticket,
        taken: Taken,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        if let Some(waiter) = self.take(ticket) {
            if waiter.alarm > now {
                wakers.push(waiter.waker);
            } else {
                wakers.discard(waiter.waker);
            }
            self.outcomes.insert(ticket, (waiter.ask, Outcome::Served(taken)));
        }
    }

    /// Passes over a waiter that should have looked long ago: it has missed its turn.
    pub(crate) fn miss(&mut self, ticket: Ticket, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            wakers.push(waiter.waker);
            let missed = Outcome::Missed { deadline: waiter.deadline };
            self.outcomes.insert(ticket, (waiter.ask, missed));
            self.missed += 1;
        }
    }

    /// Grants permits to a waiter that has missed its turn. They cannot be given back.
    pub(crate) fn make_up(&mut self, ticket: Ticket) {
        if let Some((_, outcome @ Outcome::Missed { .. })) = self.outcomes.get_mut(&ticket) {
            *outcome = Outcome::Served(Taken::default());
            self.missed -= 1;
        }
    }

    /// Gives its place back to a waiter that has missed its turn, and is now `due` at a time
    /// without the drift.
    pub(crate) fn put_back(&mut self, ticket: Ticket, permits: u64, due: Timestamp) {
        let Some((ask, Outcome::Missed { deadline })) = self.outcomes.get(&ticket).copied() else {
            return;
        };
        self.fetch(ticket);
        self.insert(ticket, Waiter::new(ask, permits, due, Timestamp::MAX, deadline, None));
    }

    /// Ends a wait with `error`. Its waiter is woken to fetch the outcome.
    pub(crate) fn finish(&mut self, ticket: Ticket, error: WaitError, wakers: &mut Wakers) {
        if let Some(waiter) = self.take(ticket) {
            wakers.push(waiter.waker);
            self.outcomes.insert(ticket, (waiter.ask, Outcome::Failed(error)));
        }
    }

    /// Ends all waits with `error`.
    pub(crate) fn finish_all(&mut self, error: WaitError, wakers: &mut Wakers) {
        while let Some((ticket, _)) = self.head() {
            self.finish(ticket, error, wakers);
        }
    }

    /// Gives up a place, and returns how many permits it was for, if it existed.
    ///
    /// All waiters are due `drift` nanoseconds later than is noted. The waiter behind the place
    /// moves up at once. Those further back are told when that waiter is served, or when all due
    /// times are computed anew.
    pub(crate) fn remove(
        &mut self,
        ticket: Ticket,
        now: Timestamp,
        drift: i128,
        wakers: &mut Wakers,
    ) -> Option<u64> {
        let gone = self.take(ticket)?;
        let before = self.waiting.range(..ticket).next_back().map(|(_, waiter)| waiter.due);
        // A reservation has no waker, because its holder sleeps by itself.
        let behind = self.waiting.range_mut(ticket..).take(SEARCHED);
        if let Some((_, next)) = behind.into_iter().find(|(_, next)| next.waker.is_some()) {
            let due = if next.permits >= gone.permits { Some(gone.due) } else { before };
            next.due = next.due.min(due.unwrap_or(moved(now, -drift)));
            let expected = moved(next.due, drift);
            next.wake_if_late(expected, now, wakers);
        }
        wakers.discard(gone.waker);
        Some(gone.permits)
    }

    /// Removes a waiter.
    fn take(&mut self, ticket: Ticket) -> Option<Waiter<Q>> {
        let waiter = self.waiting.remove(&ticket)?;
        self.permits -= u128::from(waiter.permits);
        Some(waiter)
    }

    /// Returns, once, the outcome of a wait that has ended, and what it asked for.
    pub(crate) fn fetch(&mut self, ticket: Ticket) -> Option<(Q, Outcome)> {
        let outcome = self.outcomes.remove(&ticket)?;
        self.missed -= usize::from(matches!(outcome.1, Outcome::Missed { .. }));
        if self.outcomes.is_empty() && self.outcomes.capacity() > KEPT_CAPACITY {
            self.outcomes = HashMap::new();
        }
        Some(outcome)
    }

    /// Whether a wait has ended with a grant that is not fetched yet.
    pub(crate) fn is_granted(&self, ticket: Ticket) -> bool {
        matches!(self.outcomes.get(&ticket), Some((_, Outcome::Served(_))))
    }

    /// Ends the wait of a waiter that has missed its turn.
    pub(crate) fn fail_missed(&mut self, ticket: Ticket, error: WaitError) {
        if let Some((_, outcome @ Outcome::Missed { .. })) = self.outcomes.get_mut(&ticket) {
            *outcome = Outcome::Failed(error);
            self.missed -= 1;
        }
    }

    /// What the waiter asks for and by when, if it has missed its turn.
    pub(crate) fn missed(&self, ticket: Ticket) -> Option<(Q, Timestamp)> {
        match self.outcomes.get(&ticket) {
            Some((ask, Outcome::Missed { deadline })) => Some((*ask, *deadline)),
            _ => None,
        }
    }

    /// Whether a waiter has missed its turn and has not looked since.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed > 0
    }

    /// Sets the waker to call when something changes for `ticket`.
    pub(crate) fn set_waker(&mut self, ticket: Ticket, waker: &Waker, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            if !waiter.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                wakers.discard(waiter.waker.replace(waker.clone()));
            }
        }
    }

    /// Sets when a waiter is due, without the drift.
    pub(crate) fn set_due(&mut self, ticket: Ticket, due: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.due = due;
        }
    }

    /// Sets when a waiter can be served from buckets that no earlier waiter claims.
    pub(crate) fn set_unclaimed_at(&mut self, ticket: Ticket, unclaimed_at: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.unclaimed_at = unclaimed_at;
        }
    }

    /// Notes that the waiter will look by itself at `alarm`.
    pub(crate) fn set_alarm(&mut self, ticket: Ticket, alarm: Timestamp) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.alarm = alarm;
        }
    }

    /// Wakes a waiter that is due at `due` if it would look much later by itself.
    pub(crate) fn wake_if_late(
        &mut self,
        ticket: Ticket,
        due: Timestamp,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            waiter.wake_if_late(due, now, wakers);
        }
    }

    /// Wakes a waiter if it would look later than `at` by itself.
    pub(crate) fn wake_before(&mut self, ticket: Ticket, at: Timestamp, wakers: &mut Wakers) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            if at < waiter.alarm {
                waiter.alarm = at;
                wakers.push(waiter.waker.take());
            }
        }
    }
}
