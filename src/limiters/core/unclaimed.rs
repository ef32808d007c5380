//! Requests that are served from buckets that no earlier waiter can use.
//!
//! Where a request can be served by one of several buckets, first come, first served holds for each
//! bucket: a waiter has a claim to all buckets that could ever serve it, and later requests may use
//! all other buckets. For a rule with one bucket, there is nothing to do here.
//!
//! Only the first waiter of a group (see [`groups`](super::groups)) can be the next that a bucket
//! serves, and each of these waiters knows when that will be. So after every change, some waiter
//! looks when the next one can be served. For this, whoever removes a waiter must call
//! [`serve_unclaimed`](Core::serve_unclaimed) before the lock is released.

use super::due::alarm;
use super::groups::{Buckets, Groups};
use super::{Core, Rule};
use crate::Timestamp;
use crate::answer::Taken;
use crate::wait::queue::Ticket;
use crate::wakers::Wakers;

impl<A: Rule> Core<A> {
    /// Takes `ask` from a bucket that no waiter claims. Also returns when that is possible.
    pub(super) fn take_unclaimed(&mut self, ask: A::Ask) -> (Option<Taken>, Timestamp) {
        if !A::OPEN_ENDED || self.rest.queue.is_empty() {
            return (None, Timestamp::MAX);
        }
        let claims = self.rest.groups.claims();
        if claims.covers(&self.rest.rule.able(&self.state, ask)) {
            return (None, Timestamp::MAX);
        }
        let taken = self.hold_unclaimed(ask, self.rest.next_receipt, &claims);
        match taken {
            Some(taken) => {
                // No waiter could have used these permits, but a later request could.
                if let Some(tail) = &mut self.rest.tail {
                    tail.take(&self.rest.rule, self.latest, taken.by, ask);
                }
                (Some(taken), self.latest)
            }
            None => (None, self.rest.rule.ready_beside(&self.state, self.latest, ask, &claims)),
        }
    }

    /// Takes `ask` for the `nth` waiter from a bucket that is not in `claims`.
    fn hold_unclaimed(&mut self, ask: A::Ask, nth: u64, claims: &Buckets) -> Option<Taken> {
        let (now, receipt) = (self.latest, self.next_receipt(self.latest));
        let by = self.rest.rule.try_hold_beside(&mut self.state, now, ask, nth, receipt, claims)?;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        Some(Taken { by, receipt, by_all: None })
    }

    /// Adds the newest waiter to its group. `ready` is when it can be served from buckets that no
    /// earlier waiter claims.
    pub(super) fn join_group(&mut self, ticket: Ticket, ask: A::Ask, ready: Timestamp) {
        if !A::OPEN_ENDED {
            return;
        }
        let (state, rest) = (&self.state, &mut *self.rest);
        rest.queue.set_unclaimed_at(ticket, ready);
        rest.groups.next = rest.groups.next.min(ready);
        rest.groups.push(ticket, rest.rule.able(state, ask));
        if rest.groups.has_many_departed(rest.queue.len()) {
            rest.groups.remove_departed(|ticket| rest.queue.get(ticket).is_some());
        }
    }

    /// Groups all waiters anew, after the buckets that could ever serve them may have changed.
    pub(super) fn regroup(&mut self) {
        if !A::OPEN_ENDED {
            return;
        }
        let (state, rest) = (&self.state, &mut *self.rest);
        rest.groups = Groups::default();
        for (ticket, waiter) in rest.queue.iter_mut() {
            waiter.unclaimed_at = Timestamp::MAX;
            rest.groups.push(ticket, rest.rule.able(state, waiter.ask));
        }
    }

    /// Serves waiters from buckets that no earlier waiter claims, and tells the first waiter of
    /// each group when it can be served like this. A waiter that cannot be served in time must not
    /// delay those behind it.
    pub(super) fn serve_unclaimed(&mut self, wakers: &mut Wakers) {
        if !A::OPEN_ENDED {
            return;
        }
        self.rest.groups.next = Timestamp::MAX;
        let Some((head, _)) = self.rest.queue.head() else { return };
        self.rest.queue.set_unclaimed_at(head, Timestamp::MAX);
        // In the usual case all waiters can use all buckets, and none can be served before the
        // first.
        if self.rest.groups.is_single() {
            return;
        }
        let mut groups = std::mem::take(&mut self.rest.groups);
        let (mut claims, mut last) = (Buckets::default(), None);
        while let Some((first, buckets)) = groups.next_after(last) {
            let waits = if first == head {
                Some(Timestamp::MAX)
            } else {
                self.serve_group(first, buckets, &claims, wakers)
            };
            if let Some(until) = waits {
                claims.add(buckets);
                (groups.next, last) = (groups.next.min(until), Some(first));
            } else {
                groups.first_departed(first, |ticket| self.rest.queue.get(ticket).is_some());
            }
        }
        self.rest.groups = groups;
    }

    /// Serves the `first` waiter of the group for `buckets` from a bucket that is not in `claims`,
    /// or ends its wait. If it has to wait on, returns the time at which it can be served like
    /// this.
    fn serve_group(
        &mut self,
        first: Ticket,
        buckets: &Buckets,
        claims: &Buckets,
        wakers: &mut Wakers,
    ) -> Option<Timestamp> {
        let waiter = self.rest.queue.get(first)?;
        let (ask, deadline) = (waiter.ask, waiter.deadline);
        if claims.covers(buckets) {
            return Some(Timestamp::MAX);
        }
        if let Some(taken) = self.hold_unclaimed(ask, first.number(), claims) {
            self.rest.queue.grant(first, taken, self.latest, wakers);
            self.rest.changes += 1;
            return None;
        }
        let ready = self.rest.rule.ready_beside(&self.state, self.latest, ask, claims);
        // If another waiter has a claim to one of its buckets, it may still be served sooner.
        let is_certain = !claims.meets(buckets) || deadline < self.latest;
        if is_certain && self.is_too_late(ready, ask, deadline) {
            self.give_up_on(first, ready, wakers);
            self.rest.changes += 1;
            return None;
        }
        self.rest.queue.set_unclaimed_at(first, ready);
        self.rest.queue.wake_before(first, alarm::<A>(ready, deadline), wakers);
        Some(ready)
    }
}
