//! Those who can be served by what those before them can't use.
//!
//! Where a request can be served by one of several buckets, first come, first served holds for each
//! bucket: who waits has a claim to all that could ever serve it, and whoever comes later may use
//! the others. Rules with one bucket have no others, so that there is nothing to do.
//!
//! Nobody but the first in a line (see [`lines`](super::lines)) can be the next whom a bucket
//! serves, and each of them is told when that will be. So after every change, somebody looks when
//! the next can be served; this is why whoever lets somebody leave must call
//! [`serve_unclaimed`](Core::serve_unclaimed), sooner or later under the same lock.

use super::due::alarm;
use super::groups::{Buckets, Groups};
use super::{Core, Rule};
use crate::Timestamp;
use crate::wait::queue::{Taken, Ticket, Wakers};

impl<A: Rule> Core<A> {
    /// Takes `ask` from a bucket to which nobody who waits has a claim; else when that will be
    /// possible.
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
                // Nobody who waits could have used it, but who comes later might.
                if let Some(tail) = &mut self.rest.tail {
                    tail.take(&self.rest.rule, self.latest, taken.by, ask);
                }
                (Some(taken), self.latest)
            }
            None => (None, self.rest.rule.ready_beside(&self.state, self.latest, ask, &claims)),
        }
    }

    /// Takes `ask` for the `nth` waiter from a bucket without a claim.
    fn hold_unclaimed(&mut self, ask: A::Ask, nth: u64, claims: &Buckets) -> Option<Taken> {
        let (now, receipt) = (self.latest, self.next_receipt(self.latest));
        let by = self.rest.rule.try_hold_beside(&mut self.state, now, ask, nth, receipt, claims)?;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        Some(Taken { by, receipt, by_all: None })
    }

    /// Puts the newest waiter into its line; `ready` is when it can be served beside those before
    /// it.
    pub(super) fn join_group(&mut self, ticket: Ticket, ask: A::Ask, ready: Timestamp) {
        if !A::OPEN_ENDED {
            return;
        }
        let (state, rest) = (&self.state, &mut *self.rest);
        rest.queue.set_unclaimed_at(ticket, ready);
        rest.groups.next = rest.groups.next.min(ready);
        rest.groups.push(ticket, rest.rule.able(state, ask));
        if rest.groups.are_outdated(rest.queue.len()) {
            rest.groups.tidy(|ticket| rest.queue.get(ticket).is_some());
        }
    }

    /// What the buckets can ever serve may have changed: finds out anew who waits for which.
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

    /// Serves those who need not wait for the first of all, and tells the first in each line when
    /// they need not. Who can't be served in time must not hold up those behind.
    pub(super) fn serve_unclaimed(&mut self, wakers: &mut Wakers) {
        if !A::OPEN_ENDED {
            return;
        }
        self.rest.groups.next = Timestamp::MAX;
        let Some((head, _)) = self.rest.queue.head() else { return };
        self.rest.queue.set_unclaimed_at(head, Timestamp::MAX);
        // Mostly all can use all, and nobody can pass the first.
        if self.rest.groups.are_one() {
            return;
        }
        let mut lines = std::mem::take(&mut self.rest.groups);
        let (mut claims, mut last) = (Buckets::default(), None);
        while let Some((first, buckets)) = lines.after(last) {
            let waits = if first == head {
                Some(Timestamp::MAX)
            } else {
                self.serve_group(first, buckets, &claims, wakers)
            };
            if let Some(until) = waits {
                claims.add(buckets);
                (lines.next, last) = (lines.next.min(until), Some(first));
            } else {
                lines.left(first, |ticket| self.rest.queue.get(ticket).is_some());
            }
        }
        self.rest.groups = lines;
    }

    /// Serves the first in the line for these buckets from those that nobody claims who came
    /// before. Else it waits on, until the time that is returned.
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
        // Where others have a claim, it may yet be served sooner than this.
        let is_certain = !claims.meets(buckets) || deadline < self.latest;
        if is_certain && self.is_too_late(ready, deadline) {
            self.give_up_on(first, ready, wakers);
            self.rest.changes += 1;
            return None;
        }
        self.rest.queue.set_unclaimed_at(first, ready);
        self.rest.queue.wake_before(first, alarm::<A>(ready, deadline), wakers);
        Some(ready)
    }
}
