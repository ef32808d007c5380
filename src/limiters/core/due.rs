//! When each waiter is due, and what moves the due times.
//!
//! The due time of a waiter is computed when it joins. A later change moves all waiters by about
//! the same time: the *drift* is by how much the first waiter is due later (or earlier) than was
//! computed, and it is applied to all waiters. So a change costs as much with one waiter as with a
//! hundred thousand. The drift is not exact. A waiter's time is corrected when the waiter looks,
//! when it becomes the first, or when all due times are computed anew, after as many changes as a
//! quarter of the queue's length.

use super::{Core, Rest, Rule, UNKNOWN};
use crate::wait::queue::{Ticket, Waiter, moved};
use crate::wakers::Wakers;
use crate::{Timestamp, WaitError};

/// This many of the first waiters are told when permits are given back.
pub(super) const NOTIFIED: usize = 16;

/// Whether `due` stands for a time that is not known.
pub(super) fn is_unknown<A: Rule>(due: Timestamp) -> bool {
    A::OPEN_ENDED && due == UNKNOWN
}

/// When a waiter looks again by itself: when it is due, or at its deadline if it waits for
/// something sooner, or if the due time is not known.
pub(super) fn alarm<A: Rule>(due: Timestamp, deadline: Timestamp) -> Timestamp {
    if A::OPEN_ENDED { deadline.min(due) } else { due }
}

/// By how many nanoseconds `to` is later than `from`.
pub(super) fn drift(from: Timestamp, to: Timestamp) -> i128 {
    i128::from(to.as_nanos()) - i128::from(from.as_nanos())
}

impl<A: Rule> Core<A> {
    /// The first waiters move up because permits were given back: wakes those whose timers would be
    /// late. More than one is told, because the first waiter may not be polled, and then no waiter
    /// would look in time for those behind it.
    pub(super) fn notify_first(&mut self, wakers: &mut Wakers) {
        if A::OPEN_ENDED || self.rest.queue.is_empty() {
            return;
        }
        let (mut state, mut at) = (self.state.clone(), self.rest.served_until);
        let mut moved_up = Vec::with_capacity(NOTIFIED);
        for (ticket, waiter) in self.rest.queue.iter().take(NOTIFIED) {
            at = self.rest.rule.ready_at(&state, at, waiter.ask);
            self.rest.rule.take(&mut state, at, waiter.ask);
            moved_up.push((ticket, at));
        }
        for (ticket, due) in moved_up {
            self.rest.queue.set_due(ticket, moved(due, -self.rest.drift));
            self.rest.queue.wake_if_late(ticket, due, self.latest, wakers);
        }
    }

    /// Updates the queue after `permits` were given back: all waiters move up, as after a
    /// departure.
    pub(crate) fn sooner(&mut self, permits: u64, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.changes += 1;
        self.forget_tail();
        self.rest.note_given_back(permits);
        self.serve(wakers);
        self.notify_first(wakers);
    }

    /// Updates the queue after permits were taken: all waiters are served later. A waiter learns
    /// this when it looks, but one that can no longer be served by its deadline is told at once.
    pub(super) fn later(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.changes += usize::from(A::OPEN_ENDED);
        self.rest.shifted = true;
        self.forget_tail();
        self.serve(wakers);
        self.check_deadlines(wakers);
    }

    /// Tells the waiters that can no longer be served by their deadlines. If each change would need
    /// a walk through the whole queue, a waiter learns this when it looks, which is at its former
    /// due time; only in a short queue is it told at once.
    fn check_deadlines(&mut self, wakers: &mut Wakers) {
        let earliest = self.rest.queue.earliest_deadline();
        if self.rest.queue.is_empty() || earliest == Timestamp::MAX || A::OPEN_ENDED {
            return;
        }
        if self.behind_all(0).is_none_or(|last| last > earliest) {
            self.retime(wakers);
        }
    }

    /// Updates the queue after any change of the state: serves all waiters, or computes their due
    /// times anew.
    pub(super) fn changed(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            self.update_flag();
            return;
        }
        // No waiter was due before the change, so the state may be taken to be as of now.
        self.rest.served_until = self.latest;
        self.rest.tail = None;
        self.rest.changes = 0;
        self.regroup();
        self.serve(wakers);
        self.retime(wakers);
    }

    /// Ends the wait of `ticket`, which would be due at `due`, because it cannot be served in time.
    pub(super) fn give_up_on(&mut self, ticket: Ticket, due: Timestamp, wakers: &mut Wakers) {
        let Some(waiter) = self.rest.queue.get(ticket) else { return };
        let late = WaitError::Timeout { retry_after: due - self.latest };
        let never = self.rest.rule.never(&self.state, self.latest, waiter.ask);
        self.rest.queue.finish(ticket, never.map_or(late, WaitError::from), wakers);
    }

    /// The known state behind all waiters is no longer right. Where it cannot be exact anyway, it
    /// is kept as an estimate.
    pub(super) fn forget_tail(&mut self) {
        if !A::OPEN_ENDED {
            self.rest.tail = None;
        }
    }

    /// Computes when each waiter is due, and wakes those whose timers would be too late. Ends the
    /// waits that can no longer meet their deadlines, so that they delay no other waiter.
    pub(super) fn retime(&mut self, wakers: &mut Wakers) {
        let mut due = Vec::with_capacity(self.rest.queue.len());
        let tail = self.plan(|ticket, at, alarm, in_time| due.push((ticket, at, alarm, in_time)));
        self.rest.mark_planned();
        let mut has_left = false;
        for (ticket, at, alarm, in_time) in due {
            if in_time {
                self.rest.queue.set_due(ticket, at);
                self.rest.queue.wake_before(ticket, alarm, wakers);
            } else {
                self.give_up_on(ticket, at, wakers);
                has_left = true;
            }
        }
        if has_left {
            // The plan is still right: the waiters behind them may have waited for no other waiter.
            self.serve_unclaimed(wakers);
            self.rest.mark_planned();
        }
        self.rest.queue.find_earliest_deadline();
        self.update_flag();
        self.rest.tail = (!self.rest.queue.is_empty()).then_some(tail);
    }

    /// When a waiter will be served, as far as is known without a walk through the queue. Not
    /// before any waiter can be served.
    pub(super) fn expected(&self, waiter: &Waiter<A::Ask>) -> Timestamp {
        let now = |due| if is_unknown::<A>(due) { due } else { moved(due, self.rest.drift) };
        let head = self.rest.queue.head().map_or(Timestamp::ZERO, |(_, head)| now(head.due));
        now(waiter.due).max(head.min(self.rest.groups.next)).min(waiter.unclaimed_at)
    }

    /// When `ticket` will be served, computed anew: time zero if it was served, and
    /// [`Timestamp::MAX`] if its wait has failed.
    pub(crate) fn due(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) -> Timestamp {
        self.settle(now, wakers);
        if !self.rest.is_planned() {
            self.retime(wakers);
        }
        let Rest { queue, rule, .. } = &*self.rest;
        match (queue.get(ticket), queue.missed(ticket)) {
            (Some(waiter), _) => waiter.due,
            (None, Some((ask, _))) => rule.ready_at(&self.state, self.latest, ask),
            (None, None) if queue.is_granted(ticket) => Timestamp::ZERO,
            (None, None) => Timestamp::MAX,
        }
    }
}
