//! Those who can be served by what those before them can't use.
//!
//! Where a request can be served by one of several buckets, first come, first served holds for each bucket: who waits
//! has a claim to all that could ever serve it, and whoever comes later may use the others. Rules with one bucket
//! have no others, so that there is nothing to do.

use super::{Core, Rule};
use crate::Timestamp;
use crate::wait::queue::{Taken, Ticket, Wakers};

/// Of so many waiters the claims are looked at; with more, all buckets count as claimed.
const LOOKED_AT: usize = 64;

impl<A: Rule> Core<A> {
    /// Takes `ask` from a bucket to which nobody who waits has a claim; else when that will be possible.
    pub(super) fn beside(&mut self, ask: A::Ask) -> (Option<Taken>, Timestamp) {
        if !A::OPEN_ENDED || self.rest.queue.is_empty() || self.rest.queue.len() > LOOKED_AT {
            return (None, Timestamp::MAX);
        }
        let mut claims = A::Claims::default();
        for (_, waiter) in self.rest.queue.iter() {
            if self.rest.rule.claim(&self.state, waiter.ask, &mut claims) {
                return (None, Timestamp::MAX);
            }
        }
        let taken = self.hold_beside(ask, &claims);
        let ready = match taken {
            Some(_) => self.latest,
            None => self.rest.rule.ready_beside(&self.state, self.latest, ask, &claims),
        };
        (taken, ready)
    }

    fn hold_beside(&mut self, ask: A::Ask, claims: &A::Claims) -> Option<Taken> {
        let (now, receipt) = (self.latest, self.next_receipt(self.latest));
        let by = self.rest.rule.try_hold_beside(&mut self.state, now, ask, receipt, claims)?;
        self.allowed = self.allowed.wrapping_add(A::permits(ask));
        Some(Taken { by, receipt, by_all: None })
    }

    /// Serves those behind the first in line who need not wait for it, and tells the others when they need not.
    pub(super) fn serve_beside(&mut self, wakers: &mut Wakers) {
        if !A::OPEN_ENDED {
            return;
        }
        let mut claims = A::Claims::default();
        let Some((_, head)) = self.rest.queue.head() else { return };
        // Mostly all can use all, and the first in line has a claim to everything.
        if self.rest.rule.claim(&self.state, head.ask, &mut claims) {
            return;
        }
        let behind = self.rest.queue.iter().skip(1).take(LOOKED_AT);
        let behind: Vec<(Ticket, A::Ask)> = behind.map(|(at, waiter)| (at, waiter.ask)).collect();
        for (ticket, ask) in behind {
            if let Some(taken) = self.hold_beside(ask, &claims) {
                self.rest.queue.grant(ticket, taken, self.latest, wakers);
                self.rest.stale += 1;
                continue;
            }
            let ready = self.rest.rule.ready_beside(&self.state, self.latest, ask, &claims);
            self.rest.queue.set_beside(ticket, ready);
            self.rest.queue.call(ticket, ready, wakers);
            if self.rest.rule.claim(&self.state, ask, &mut claims) {
                break;
            }
        }
    }
}
