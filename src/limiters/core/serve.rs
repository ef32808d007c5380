//! Waiters that are due are served.

use super::due::{alarm, drift, is_unknown};
use super::lateness::Lateness;
use super::{Core, Rule};
use crate::Timestamp;
use crate::answer::Taken;
use crate::wait::queue::{Ticket, moved};
use crate::wakers::Wakers;

impl<A: Rule> Core<A> {
    /// Serves all waiters that are due, in order, and tells the next waiter when it will be due.
    pub(super) fn serve(&mut self, wakers: &mut Wakers) {
        self.serve_all(true, wakers);
    }

    /// As [`serve`](Self::serve). `stalled` says whether all overdue waiters may have been held up,
    /// as by a stall of the process. If not, a waiter behind them has looked in time, and a waiter
    /// that is long overdue has missed its turn.
    pub(super) fn serve_all(&mut self, stalled: bool, wakers: &mut Wakers) {
        if self.open_and_idle {
            return;
        }
        while let Some((ticket, waiter)) = self.rest.queue.head() {
            if stalled && !waiter.is_promise {
                self.catch_up(waiter.ask);
            }
            let Some((_, waiter)) = self.rest.queue.head() else { break };
            let (ask, planned, deadline) = (waiter.ask, waiter.due, waiter.deadline);
            let is_promise = waiter.is_promise;
            let due = self.rest.rule.ready_at(&self.state, self.rest.served_until, ask);
            let never = A::OPEN_ENDED && due == Timestamp::MAX;
            if never || self.is_too_late(due, ask, deadline) {
                // A waiter that cannot be served in time must not delay those behind it.
                self.give_up_on(ticket, due, wakers);
                self.rest.changes += 1;
                continue;
            }
            if due > self.latest {
                if !is_unknown::<A>(due) && !is_unknown::<A>(planned) {
                    self.rest.drift = drift(planned, due);
                } else {
                    self.rest.queue.set_due(ticket, due);
                    self.rest.drift = 0;
                }
                // Its own timer may be set to a later time, if a waiter before it has left.
                self.rest.queue.wake_before(ticket, alarm::<A>(due, deadline), wakers);
                break;
            }
            // A waiter that is served at another time than planned may get another bucket.
            let is_off = A::OPEN_ENDED
                && (is_unknown::<A>(planned) || due != moved(planned, self.rest.drift));
            self.rest.changes += usize::from(is_off);
            if !stalled && !is_promise && !A::OPEN_ENDED && self.is_long_overdue(due) {
                self.skip(ticket, ask, due, wakers);
            } else {
                self.grant_waiter(ticket, ask, due, wakers);
            }
        }
        self.serve_unclaimed(wakers);
        self.update_flag();
        // To compute all due times after each change would be quadratic.
        if self.rest.changes * 4 > self.rest.queue.len()
            || self.rest.given_back.saturating_mul(4) > self.rest.queue.permits()
            || self.is_worth_a_walk(self.rest.queue.earliest_deadline())
        {
            self.retime(wakers);
        }
    }

    /// Whether a waiter that was due at `due` is noticed too late to be served as of that time. A
    /// waiter that looks exactly when it is due never is, even if no lateness is bearable.
    pub(super) fn is_long_overdue(&self, due: Timestamp) -> bool {
        let late = self.latest - due;
        !late.is_zero() && late + Lateness::ROUNDED >= self.rest.lateness.bearable
    }

    /// Spends the permits of a waiter that has missed its turn, so that the waiters behind it are
    /// served at their times.
    fn skip(&mut self, ticket: Ticket, ask: A::Ask, at: Timestamp, wakers: &mut Wakers) {
        self.rest.rule.take(&mut self.state, at, ask);
        self.rest.served_until = at;
        if self.rest.rule.catches_up() {
            let missed = self.rest.missed.saturating_add(A::permits(ask));
            self.rest.missed = missed.min(self.rest.rule.limit());
        }
        self.rest.queue.miss(ticket, wakers);
    }

    /// Serves a waiter as of `at`.
    fn grant_waiter(&mut self, ticket: Ticket, ask: A::Ask, at: Timestamp, wakers: &mut Wakers) {
        let receipt = self.next_receipt(at);
        let by = self.rest.rule.hold(&mut self.state, at, ask, ticket.number(), receipt);
        self.rest.served_until = at;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        self.rest.queue.grant(ticket, Taken { by, receipt, by_all: None }, self.latest, wakers);
    }

    /// Limits how many waiters are served at once after a stall: if the first waiter is overdue for
    /// too long, it is served as of a later time. Reservations are served as of their times.
    fn catch_up(&mut self, head: A::Ask) {
        let due = self.rest.rule.ready_at(&self.state, self.rest.served_until, head);
        let Lateness { bearable, made_up } = self.rest.lateness;
        if due >= self.latest || self.latest - due < bearable {
            return;
        }
        let made_up = u64::try_from(made_up.as_nanos()).unwrap_or(u64::MAX);
        let from = Timestamp::from_nanos(self.latest.as_nanos().saturating_sub(made_up));
        self.rest.served_until = self.rest.served_until.max(from);
        // After the usual lateness of a timer, the computed times are only a little too early.
        if self.latest - due > Lateness::TIMERS {
            self.forget_tail();
        }
    }
}
