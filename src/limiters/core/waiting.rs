//! Places in the queue, from the view of a waiter: to look, to fetch the outcome, to leave.

use std::task::Waker;

use super::due::{NOTIFIED, alarm};
use super::{Core, Rule};
use crate::wait::Progress;
use crate::wait::queue::{Outcome, Ticket, moved};
use crate::wakers::Wakers;
use crate::{Grant, Timestamp, WaitError};

impl<A: Rule> Core<A> {
    /// The progress of the wait of `ticket`. `waker` is called when it can be served earlier. A
    /// grant is final, unless it is `held`: then it must be released or given back.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        waker: Option<&Waker>,
        held: bool,
        wakers: &mut Wakers,
    ) -> Progress {
        self.see(now);
        self.resume_missed(ticket, held, wakers);
        // A waiter that looks in time is served in time: an earlier waiter that has not looked may
        // never look.
        let waiter = self.rest.queue.get(ticket);
        let in_time = waiter.is_some_and(|waiter| !self.is_long_overdue(self.expected(waiter)));
        self.serve_all(!in_time, wakers);
        if self.rest.queue.missed(ticket).is_some() {
            // It was overdue for longer than expected.
            self.resume_missed(ticket, held, wakers);
            self.serve(wakers);
        }
        if let Some(outcome) = self.fetch(ticket, held) {
            return Progress::Done(outcome);
        }
        let Some(waiter) = self.rest.queue.get(ticket) else {
            // It does not wait and has no outcome: the outcome was fetched before.
            return Progress::Done(Err(WaitError::Closed));
        };
        let (mut due, ask, deadline) = (self.expected(waiter), waiter.ask, waiter.deadline);
        if self.is_too_late(due, ask, deadline) {
            if self.rest.is_planned() {
                self.give_up_on(ticket, due, wakers);
                // The waiters behind it may have waited for no other waiter.
                self.serve_unclaimed(wakers);
                self.update_flag();
            } else {
                self.retime(wakers);
            }
            if let Some(outcome) = self.fetch(ticket, held) {
                return Progress::Done(outcome);
            }
            due = self.rest.queue.get(ticket).map_or(due, |waiter| self.expected(waiter));
        }
        let alarm = alarm::<A>(due, deadline);
        self.rest.queue.set_alarm(ticket, alarm);
        if let Some(waker) = waker {
            self.rest.queue.set_waker(ticket, waker, wakers);
        }
        Progress::Until(alarm)
    }

    /// Serves a waiter that has missed its turn and looks now. It gets permits that were spent for
    /// waiters that missed their turns, if enough are left. Otherwise it gets its place back, and
    /// is served as of now. So does a grant that is `held`: those permits could not be given back.
    fn resume_missed(&mut self, ticket: Ticket, held: bool, wakers: &mut Wakers) {
        let Some((ask, deadline)) = self.rest.queue.missed(ticket) else { return };
        self.serve(wakers);
        let never = self.rest.rule.never(&self.state, self.latest, ask);
        let (refusal, permits) = (self.rest.shut.or(never), A::permits(ask));
        let may_have_spent = !held && refusal.is_none() && self.latest <= deadline;
        if may_have_spent && permits <= self.rest.missed {
            self.rest.missed -= permits;
            self.allowed = self.allowed.wrapping_add(permits);
            self.rest.queue.make_up(ticket);
            self.forget_spent();
            return;
        }
        let due = moved(self.rest.rule.ready_at(&self.state, self.latest, ask), -self.rest.drift);
        self.rest.queue.put_back(ticket, permits, due);
        self.forget_spent();
        if let Some(refusal) = refusal {
            self.rest.queue.finish(ticket, refusal.into(), wakers);
            return;
        }
        // No other waiter is due, and all others are served after it.
        self.rest.served_until = self.latest;
        self.rest.changes += 1;
        self.forget_tail();
        self.update_flag();
    }

    /// The permits that were spent for waiters that missed their turns are for these waiters alone.
    fn forget_spent(&mut self) {
        if !self.rest.queue.has_missed() {
            self.rest.missed = 0;
        }
    }

    /// Returns, once, how a wait has ended. From then on its permits are final, unless they are
    /// `held`.
    fn fetch(&mut self, ticket: Ticket, held: bool) -> Option<Result<Grant, WaitError>> {
        let (ask, outcome) = self.rest.queue.fetch(ticket)?;
        match outcome {
            Outcome::Served(taken) => {
                if !held {
                    self.rest.rule.release(&mut self.state, ask, taken);
                }
                Some(Ok(self.grant(ask, taken)))
            }
            Outcome::Failed(error) => {
                self.count_denied(A::permits(ask));
                Some(Err(error))
            }
            // It got its place back before.
            Outcome::Missed { .. } => None,
        }
    }

    /// Whether `ticket` was served and its grant is not fetched yet.
    pub(crate) fn is_granted(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        wakers: &mut Wakers,
    ) -> bool {
        self.settle(now, wakers);
        self.rest.queue.is_granted(ticket)
    }

    /// Gives up a place in the queue, or gives back a grant that was not fetched.
    pub(crate) fn leave(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) {
        self.settle(now, wakers);
        if let Some((ask, outcome)) = self.rest.queue.fetch(ticket) {
            self.forget_spent();
            if let Outcome::Served(taken) = outcome {
                self.undo(now, ask, taken, wakers);
            }
        } else if let Some(permits) =
            self.rest.queue.remove(ticket, self.latest, self.rest.drift, wakers)
        {
            self.after_departure(ticket, permits, wakers);
        }
    }

    /// Ends the wait of `ticket` for a reason outside of this limiter.
    pub(crate) fn fail(&mut self, ticket: Ticket, error: WaitError, wakers: &mut Wakers) {
        if let Some(waiter) = self.rest.queue.get(ticket) {
            let permits = A::permits(waiter.ask);
            self.rest.queue.finish(ticket, error, wakers);
            self.after_departure(ticket, permits, wakers);
        } else {
            self.rest.queue.fail_missed(ticket, error);
            self.forget_spent();
        }
    }

    /// Updates the queue after the waiter of `ticket`, which waited for `permits`, has left: the
    /// waiters behind it move up.
    fn after_departure(&mut self, ticket: Ticket, permits: u64, wakers: &mut Wakers) {
        let is_near = self.rest.queue.iter().take(NOTIFIED).any(|(other, _)| ticket < other);
        if self.rest.queue.head().is_none_or(|(head, _)| ticket < head) {
            // The waiter that becomes the first one cannot have been served before now.
            self.rest.served_until = self.latest;
        }
        self.rest.changes += 1;
        self.forget_tail();
        self.rest.note_given_back(permits);
        self.serve(wakers);
        if is_near {
            self.notify_first(wakers);
        }
    }
}
