//! When each waiter will be served, as far as this is known now.
//!
//! A later waiter never delays an earlier one: not with one bucket, and not with several buckets,
//! each of which serves the waiters that can use it in order. So one walk through the queue gives
//! all due times. The *turns* are the times from which each bucket is free of the waiters seen so
//! far.

use super::due::alarm;
use super::{Core, Rule};
use crate::Timestamp;
use crate::wait::queue::Ticket;

/// The state once all waiters are served, and from when each bucket is free then.
#[derive(Debug)]
pub(super) struct Tail<A: Rule> {
    state: A::State,
    turns: A::Turns,
}

impl<A: Rule> Tail<A> {
    /// When `ask` of the `nth` waiter can be served after that, not before `from`, and from which
    /// bucket.
    fn ready(&self, rule: &A, from: Timestamp, ask: A::Ask, nth: u64) -> (Timestamp, u32) {
        rule.ready_behind(&self.state, &self.turns, from, ask, nth)
    }

    /// Serves one more request at `at`.
    pub(super) fn take(&mut self, rule: &A, at: Timestamp, by: u32, ask: A::Ask) {
        rule.take_behind(&mut self.state, &mut self.turns, at, by, ask);
    }
}

impl<A: Rule> Core<A> {
    /// Walks through the queue in order. Calls `tell` for each waiter with the time at which it is
    /// due, the time at which it should look, and whether it is due in time.
    pub(super) fn plan(&self, mut tell: impl FnMut(Ticket, Timestamp, Timestamp, bool)) -> Tail<A> {
        let mut tail = Tail { state: self.state.clone(), turns: A::Turns::default() };
        // No waiter is served as of an earlier time. A waiter that can be served before the first
        // one is served when this is noticed.
        let from = if A::OPEN_ENDED { self.latest } else { self.rest.served_until };
        for (ticket, waiter) in self.rest.queue.iter() {
            let (due, by) = tail.ready(&self.rest.rule, from, waiter.ask, ticket.number());
            // A waiter that can never be served must not delay those behind it, whatever its
            // deadline.
            let never = A::OPEN_ENDED && due == Timestamp::MAX;
            let in_time = !never && !self.is_too_late(due, waiter.ask, waiter.deadline);
            if in_time {
                tail.take(&self.rest.rule, due, by, waiter.ask);
            }
            tell(ticket, due, alarm::<A>(due, waiter.deadline), in_time);
        }
        tail
    }

    /// When `ask` can be served behind all waiters.
    pub(super) fn ready_behind_queue(&mut self, ask: A::Ask) -> Timestamp {
        if self.rest.queue.is_empty() {
            return self.rest.rule.ready_at(&self.state, self.latest, ask);
        }
        if let Some(ready) = self.behind_all(A::permits(ask)) {
            return ready;
        }
        if self.rest.tail.is_none() {
            // No waiter needs to be woken for this: due times can only have moved to earlier times,
            // which `settle` has told.
            self.rest.tail = Some(self.plan(|_, _, _, _| ()));
        }
        let tail = self.rest.tail.as_ref();
        tail.map_or(Timestamp::MAX, |it| it.ready(&self.rest.rule, self.latest, ask, 0).0)
    }

    /// Adds a waiter behind all others, which is due at `ready`.
    pub(super) fn extend_tail(&mut self, ticket: Ticket, ready: Timestamp, ask: A::Ask) {
        if let Some(tail) = &mut self.rest.tail {
            let (_, by) = tail.ready(&self.rest.rule, self.latest, ask, ticket.number());
            tail.take(&self.rest.rule, ready, by, ask);
        }
    }

    /// When `permits` can be taken behind all waiters, if this is known without a walk through the
    /// queue.
    pub(super) fn behind_all(&self, permits: u64) -> Option<Timestamp> {
        if !self.rest.rule.is_cumulative()
            || !self.is_lossless(self.rest.queue.widest().max(permits))
        {
            return None;
        }
        let total = u64::try_from(self.rest.queue.permits() + u128::from(permits)).ok()?;
        let (rule, since) = (&self.rest.rule, self.rest.served_until);
        Some(rule.ready_at(&self.state, since, A::ask(total)).max(self.latest))
    }

    /// Whether no refill is lost while a waiter waits for `permits`. A wait for the whole burst
    /// ends up to a nanosecond after the bucket was full, unless permits arrive at whole
    /// nanoseconds.
    fn is_lossless(&self, permits: u64) -> bool {
        let quota = self.rest.rule.quota();
        let (rate, period) = (u128::from(quota.permits()), quota.period().as_nanos());
        period.checked_rem(rate) == Some(0)
            || u128::from(permits) + rate.div_ceil(period.max(1)) <= self.rest.rule.limit().into()
    }
}
