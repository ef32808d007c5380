//! The verbs of those who wait.

use std::task::Waker;

use super::{Core, Rule, UNKNOWN};
use crate::wait::queue::{Ticket, Wakers};
use crate::{Grant, Timestamp, WaitError};

/// What became of a request to wait.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Joined {
    /// The permits were there.
    Granted(Grant),
    /// A place in the queue, and when it is due.
    Queued(Ticket, Timestamp),
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// It has ended.
    Done(Result<Grant, WaitError>),
    /// Ask again at this time.
    Until(Timestamp),
}

/// Whether nobody can tell when that is.
fn is_unknown<A: Rule>(due: Timestamp) -> bool {
    A::OPEN_ENDED && due == UNKNOWN
}

/// When one who waits looks again by itself: when it is due, or at its deadline if nobody can tell.
fn alarm<A: Rule>(due: Timestamp, deadline: Timestamp) -> Timestamp {
    if is_unknown::<A>(due) { deadline.min(due) } else { due }
}

impl<A: Rule> Core<A> {
    /// Takes `permits`, or a place in the queue if they can be had by `deadline`; `waker` is called
    /// when that place becomes due earlier, or the wait ends.
    pub(crate) fn join(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let joined = self.try_join(now, ask, deadline, waker, wakers);
        if joined.is_err() {
            self.count_denied(A::permits(ask));
        }
        joined
    }

    fn try_join(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let ready = self.check(now, ask, wakers)?;
        if ready <= self.latest
            && let Some(by) = self.take_if_ready(ask)
        {
            return Ok(Joined::Granted(self.grant(ask, by)));
        }
        if (ready > deadline && (!is_unknown::<A>(ready) || deadline <= self.latest))
            || ready == Timestamp::MAX
        {
            return Err(WaitError::Timeout { retry_after: ready - self.latest });
        }
        if self.rest.queue.len() >= self.rest.max_waiters {
            return Err(WaitError::QueueFull { max_waiters: self.rest.max_waiters });
        }
        if self.rest.queue.is_empty() {
            self.rest.served_until = self.latest;
        }
        if let Some((state, at)) = &mut self.rest.booked {
            self.rest.rule.take(state, ready, ask);
            *at = ready;
        }
        let ticket = self.rest.queue.push(ask, A::permits(ask), ready, deadline, waker);
        self.update_flag();
        Ok(Joined::Queued(ticket, alarm::<A>(ready, deadline)))
    }

    /// Where the wait of `ticket` stands; `waker` is called when that changes for the better.
    pub(crate) fn poll(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Progress {
        self.settle(now, wakers);
        if self.rest.queue.get(ticket).is_some_and(|waiter| waiter.due <= self.latest) {
            // Its turn was to be now, but it was put off: it must sleep on, and not spin.
            self.retime(wakers);
        }
        if let Some((ask, outcome)) = self.rest.queue.fetch(ticket) {
            if outcome.is_err() {
                self.count_denied(A::permits(ask));
            }
            return Progress::Done(outcome.map(|by| self.grant(ask, by)));
        }
        let Some(waiter) = self.rest.queue.get(ticket) else {
            // Not waiting and no outcome: it was fetched before.
            return Progress::Done(Err(WaitError::Closed));
        };
        let (due, deadline) = (waiter.due, waiter.deadline);
        if is_unknown::<A>(due) && deadline <= self.latest {
            let ask = waiter.ask;
            self.leave(now, ticket, wakers);
            self.count_denied(A::permits(ask));
            return Progress::Done(Err(WaitError::Timeout { retry_after: due - self.latest }));
        }
        if let Some(waker) = waker {
            self.rest.queue.set_waker(ticket, waker, wakers);
        }
        Progress::Until(alarm::<A>(due, deadline))
    }

    /// When `ticket` will be served, worked out anew; now if it has been, never if it has failed.
    pub(crate) fn due(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) -> Timestamp {
        self.settle(now, wakers);
        if self.rest.departures > 0 {
            self.retime(wakers);
        }
        match self.rest.queue.get(ticket) {
            Some(waiter) => waiter.due,
            None if self.rest.queue.is_granted(ticket) => now,
            None => Timestamp::MAX,
        }
    }

    /// Whether `ticket` was served and not fetched yet.
    pub(crate) fn is_granted(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        wakers: &mut Wakers,
    ) -> bool {
        self.settle(now, wakers);
        self.rest.queue.is_granted(ticket)
    }

    /// Gives up a place in the queue, or gives back what was granted and not fetched.
    pub(crate) fn leave(&mut self, now: Timestamp, ticket: Ticket, wakers: &mut Wakers) {
        self.settle(now, wakers);
        if let Some((ask, outcome)) = self.rest.queue.fetch(ticket) {
            if let Ok(by) = outcome {
                self.refund(now, ask, by, wakers);
            }
        } else if self.rest.queue.remove(ticket, wakers) {
            if self.rest.queue.head().is_none_or(|(head, _)| ticket < head) {
                // Whoever moves up to the head can't have been served before.
                self.rest.served_until = self.latest;
            }
            self.rest.booked = None;
            self.rest.departures += 1;
            self.serve(wakers);
        }
    }

    pub(super) fn serve(&mut self, wakers: &mut Wakers) {
        while let Some((ticket, waiter)) = self.rest.queue.head() {
            let (ask, told) = (waiter.ask, waiter.due);
            let due = self.rest.rule.ready_at(&self.state, self.rest.served_until, ask);
            if due > self.latest {
                // Its own alarm may be set for later, if somebody before it has left.
                if due < told {
                    self.rest.queue.set_due(ticket, due, wakers);
                }
                break;
            }
            let by = self.rest.rule.take(&mut self.state, due, ask);
            self.rest.served_until = due;
            self.allowed = self.allowed.wrapping_add(A::permits(ask));
            self.rest.queue.grant(ticket, by, self.latest, wakers);
        }
        self.update_flag();
        // Those behind who left move up. To tell each at each departure would be quadratic; after an
        // eighth of the queue has gone, it is paid for. The head was told above.
        if self.rest.departures * 8 > self.rest.queue.len() {
            self.retime(wakers);
        }
    }

    /// Something was given back: whoever waits moves up, like after a departure.
    #[cfg(feature = "llm")]
    pub(super) fn moved_up(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            return;
        }
        self.rest.served_until = self.latest;
        self.rest.booked = None;
        self.rest.departures += 1;
        self.serve(wakers);
    }

    /// The state has jumped: whoever waits is served or re-timed.
    pub(super) fn changed(&mut self, wakers: &mut Wakers) {
        if self.rest.queue.is_empty() {
            self.update_flag();
            return;
        }
        // Nobody was due before the jump, so the state may be taken to be as of now.
        self.rest.served_until = self.latest;
        self.rest.booked = None;
        self.serve(wakers);
        self.retime(wakers);
    }

    /// Works out when each waiter is due, and wakes those whose alarm would ring too late. Who can't
    /// be served by its deadline any more is told so at once, and is in nobody's way.
    fn retime(&mut self, wakers: &mut Wakers) {
        self.rest.departures = 0;
        let mut due = Vec::with_capacity(self.rest.queue.len());
        let booked = self.plan(|ticket, ask, at, in_time| due.push((ticket, ask, at, in_time)));
        for (ticket, ask, at, in_time) in due {
            if in_time {
                self.rest.queue.set_due(ticket, at, wakers);
            } else {
                let late = WaitError::Timeout { retry_after: at - self.latest };
                let never = self.rest.rule.never(&self.state, self.latest, ask);
                let error = never.map_or(late, WaitError::from);
                self.rest.queue.finish(ticket, Err(error), wakers);
            }
        }
        self.update_flag();
        self.rest.booked = (!self.rest.queue.is_empty()).then_some(booked);
    }

    /// Goes through the queue as time will: tells when each is due and whether that is in time, and
    /// returns the state once all are served, and when that is.
    fn plan(&self, mut tell: impl FnMut(Ticket, A::Ask, Timestamp, bool)) -> (A::State, Timestamp) {
        let (mut state, mut at) = (self.state.clone(), self.rest.served_until);
        for (ticket, waiter) in self.rest.queue.iter() {
            let due = self.rest.rule.ready_at(&state, at, waiter.ask);
            // Who can never be served must not hold up those behind it, whatever its deadline.
            let never = A::OPEN_ENDED && due == Timestamp::MAX;
            let hopes = is_unknown::<A>(due) && waiter.deadline > self.latest;
            let in_time = !never && (due <= waiter.deadline || hopes);
            if in_time {
                at = due;
                self.rest.rule.take(&mut state, at, waiter.ask);
            }
            tell(ticket, waiter.ask, due, in_time);
        }
        (state, at)
    }

    /// When `ask` can be had behind all who wait.
    pub(super) fn ready_behind_queue(&mut self, ask: A::Ask) -> Timestamp {
        if self.rest.queue.is_empty() {
            return self.rest.rule.ready_at(&self.state, self.latest, ask);
        }
        let permits = A::permits(ask);
        let total = self.rest.queue.permits() + u128::from(permits);
        if A::CUMULATIVE
            && self.is_lossless(self.rest.queue.widest().max(permits))
            && let Ok(total) = u64::try_from(total)
        {
            let (rule, since) = (&self.rest.rule, self.rest.served_until);
            return rule.ready_at(&self.state, since, A::ask(total)).max(self.latest);
        }
        if self.rest.booked.is_none() {
            // Nobody needs to be woken for this: due times only move up here, and `settle` tells.
            self.rest.booked = Some(self.plan(|_, _, _, _| ()));
        }
        match &self.rest.booked {
            Some((state, at)) => self.rest.rule.ready_at(state, (*at).max(self.latest), ask),
            None => Timestamp::MAX,
        }
    }

    /// Whether a wait for `permits` wastes nothing. One for all of the burst ends up to a nanosecond
    /// after the bucket was full, unless permits come at whole nanoseconds.
    fn is_lossless(&self, permits: u64) -> bool {
        let quota = self.rest.rule.quota();
        let (rate, period) = (u128::from(quota.permits()), quota.period().as_nanos());
        period.is_multiple_of(rate)
            || u128::from(permits) + rate.div_ceil(period.max(1)) <= self.rest.rule.limit().into()
    }
}
