//! A request joins the queue.

use std::task::Waker;

use super::due::{alarm, is_unknown};
use super::{Core, Rule};
use crate::answer::Taken;
use crate::wait::Joined;
use crate::wait::queue::moved;
use crate::wakers::Wakers;
use crate::{Timestamp, WaitError};

/// A walk through a queue of at most this length costs next to nothing.
const SHORT_QUEUE: usize = 16;

impl<A: Rule> Core<A> {
    /// Takes what is asked for, or a place in the queue if it will be served by `deadline`. `waker`
    /// is called when that place becomes due earlier, or when the wait ends. A request without a
    /// waker is a reservation; its permits may be given back even if they were granted at once.
    pub(crate) fn join(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        self.join_as(now, ask, deadline, waker, waker.is_none(), wakers)
    }

    /// As [`join`](Self::join), but a grant to a waiter may also be given back if it is made at
    /// once.
    pub(crate) fn join_held(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        self.join_as(now, ask, deadline, waker, true, wakers)
    }

    fn join_as(
        &mut self,
        now: Timestamp,
        ask: A::Ask,
        deadline: Timestamp,
        waker: Option<&Waker>,
        held: bool,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let joined = self.try_join(now, ask, deadline, waker, held, wakers);
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
        held: bool,
        wakers: &mut Wakers,
    ) -> Result<Joined, WaitError> {
        let mut ready = self.check(now, ask, wakers)?;
        let (mut taken, mut ready_unclaimed) = self.take_at_once(ready, ask, held);
        let is_late = self.is_too_late(ready.min(ready_unclaimed), ask, deadline)
            && (self.rest.changes > 0 || (A::OPEN_ENDED && !self.rest.is_planned()));
        if taken.is_none() && (is_late || self.is_worth_a_walk(deadline)) {
            // `ready` is only an estimate, or some earlier waiters cannot be served in time.
            self.retime(wakers);
            ready = self.ready_behind_queue(ask);
            (taken, ready_unclaimed) = self.take_at_once(ready, ask, held);
        }
        if let Some(taken) = taken {
            return Ok(Joined::Granted(self.grant(ask, taken)));
        }
        ready = ready.min(ready_unclaimed);
        if self.is_too_late(ready, ask, deadline) || ready == Timestamp::MAX {
            return Err(WaitError::Timeout { retry_after: ready - self.latest });
        }
        if self.rest.queue.len() >= self.rest.max_waiters {
            return Err(WaitError::QueueFull { max_waiters: self.rest.max_waiters });
        }
        if self.rest.queue.is_empty() {
            self.rest.served_until = self.latest;
            self.rest.mark_planned();
        }
        let due = if is_unknown::<A>(ready) { ready } else { moved(ready, -self.rest.drift) };
        let alarm = alarm::<A>(ready, deadline);
        let queue = &mut self.rest.queue;
        let ticket = queue.push(ask, A::permits(ask), due, alarm, deadline, waker);
        self.extend_tail(ticket, ready, ask);
        self.join_group(ticket, ask, ready_unclaimed);
        self.update_flag();
        Ok(Joined::Queued(ticket, alarm))
    }

    /// Takes what is asked for if no waiter has a claim to it. Otherwise, returns when it could be
    /// taken from a bucket that no waiter claims.
    fn take_at_once(
        &mut self,
        ready: Timestamp,
        ask: A::Ask,
        held: bool,
    ) -> (Option<Taken>, Timestamp) {
        if !self.rest.queue.is_empty() {
            return self.take_unclaimed(ask);
        }
        let taken = match held {
            _ if ready > self.latest => None,
            true => self.hold_if_ready(ask),
            false => self.take_if_ready(ask).map(Taken::finally),
        };
        (taken, Timestamp::MAX)
    }

    /// Whether a waiter for `ask` that is due at `due` cannot be served by its deadline.
    pub(super) fn is_too_late(&self, due: Timestamp, ask: A::Ask, deadline: Timestamp) -> bool {
        due > deadline
            && (deadline <= self.latest
                || !is_unknown::<A>(due) && !self.may_be_in_time(ask, deadline))
    }

    /// Whether something may happen that serves `ask` by the deadline.
    fn may_be_in_time(&self, ask: A::Ask, deadline: Timestamp) -> bool {
        let soonest = self.rest.rule.may_be_sooner(&self.state, self.latest, ask);
        soonest.is_some_and(|soonest| soonest <= deadline)
    }

    /// Whether the queue is short enough to find out at once which waiters can no longer be served
    /// by their deadlines.
    pub(super) fn is_worth_a_walk(&self, earliest_deadline: Timestamp) -> bool {
        A::OPEN_ENDED
            && earliest_deadline < Timestamp::MAX
            && self.rest.queue.len() <= SHORT_QUEUE
            && !self.rest.is_planned()
    }
}
