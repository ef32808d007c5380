//! Permits of waiters that this limiter has served, but that still wait for a second limit.
//!
//! These permits are set aside: they count as in use at the present moment, whenever that is, until
//! the second limit serves the waiter or the waiter leaves. If they were simply taken, they would
//! be refilled during the second wait, and then the waiter and other requests could together use
//! more than the burst at one instant.
//!
//! Before the state is read, [`refresh_set_aside`](Core::refresh_set_aside) gives back what was set
//! aside before, and sets it aside anew at the present time. A waiter that the second limit has
//! served meanwhile has used its permits, whether it has noticed this or not, so no request depends
//! on another waiter being polled.

use std::collections::{BTreeMap, HashMap};

use super::{Core, Rule};
use crate::algorithm::{Algorithm, Receipt};
use crate::answer::Taken;
use crate::wait::queue::Ticket;
use crate::wakers::Wakers;
use crate::{Timestamp, WaitError};

/// The progress of a waiter at the second limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waits,
    Served,
    Ended,
}

/// The permits that are set aside in a core.
#[derive(Debug)]
pub(crate) struct SetAside {
    /// The permits of each waiter, by its ticket at the second limit.
    waiting: BTreeMap<Ticket, u64>,
    /// The waiters that the second limit has served, until they notice.
    served: HashMap<Ticket, (u64, Taken)>,
    /// The sum over [`waiting`](Self::waiting).
    permits: u64,
    receipt: Receipt,
    /// Whether the rule gives back all that was just held. If it does not, the permits are not set
    /// aside, but stay taken.
    is_exact: bool,
}

impl<A: Algorithm> Core<A> {
    /// Sets a grant aside for a waiter that has `ticket` at the second limit.
    pub(crate) fn set_aside(&mut self, ticket: Ticket, permits: u64, taken: Taken) {
        let mut aside = self.rest.set_aside.take().unwrap_or_else(|| {
            Box::new(SetAside {
                waiting: BTreeMap::new(),
                served: HashMap::new(),
                permits: 0,
                receipt: Receipt::default(),
                is_exact: self.gives_back(),
            })
        });
        if aside.is_exact {
            self.rest.rule.undo(&mut self.state, self.latest, permits, taken.receipt);
            self.give_back_waiting(&aside);
        }
        aside.waiting.insert(ticket, permits);
        aside.permits = aside.permits.saturating_add(permits);
        self.hold_waiting(aside);
    }

    /// Whether anything is set aside.
    pub(crate) fn has_set_aside(&self) -> bool {
        self.rest.set_aside.is_some()
    }

    /// Sets everything aside anew at `now`. `stands` returns the progress of a waiter at the second
    /// limit.
    fn refresh_set_aside(&mut self, now: Timestamp, mut stands: impl FnMut(Ticket) -> Standing) {
        let Some(mut aside) = self.rest.set_aside.take() else { return };
        self.see(now);
        self.give_back_waiting(&aside);
        // The second limit serves them in order.
        while let Some(first) = aside.waiting.first_entry() {
            let standing = stands(*first.key());
            if standing == Standing::Waits {
                break;
            }
            let (ticket, permits) = first.remove_entry();
            aside.permits = aside.permits.saturating_sub(permits);
            if standing == Standing::Served {
                let taken = self.hold_now(permits, aside.is_exact);
                aside.served.insert(ticket, (permits, taken));
            }
        }
        self.hold_waiting(aside);
        if !self.rest.queue.is_empty() {
            // While these permits are in use, no waiter can be served as of an earlier time.
            self.rest.served_until = self.latest;
            self.rest.tail = None;
            self.rest.shifted = true;
        }
    }

    /// [Sets aside anew](Self::refresh_set_aside) the permits of the waiters at `second`.
    pub(crate) fn refresh_beside<B: Algorithm>(
        &mut self,
        second: &mut Core<B>,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        second.settle(now, wakers);
        self.refresh_set_aside(now, |ticket| second.standing(ticket));
    }

    /// As [`refresh_beside`](Self::refresh_beside), and ends the waits at `second` of requests that
    /// this limiter refuses now.
    pub(crate) fn end_hopeless_beside<B: Algorithm>(
        &mut self,
        second: &mut Core<B>,
        now: Timestamp,
        wakers: &mut Wakers,
    ) {
        self.refresh_beside(second, now, wakers);
        let ended = self.end_hopeless_set_aside();
        if ended.is_empty() {
            return;
        }
        for (ticket, error) in ended {
            second.fail(ticket, error, wakers);
        }
        self.sooner(0, wakers);
    }

    /// Gives back what is set aside for requests that this limiter refuses now, because it is shut
    /// or they ask for more than its new burst. Returns their tickets at the second limit, and why.
    fn end_hopeless_set_aside(&mut self) -> Vec<(Ticket, WaitError)> {
        let Some(mut aside) = self.rest.set_aside.take() else { return Vec::new() };
        let mut ended = Vec::new();
        for (ticket, permits) in &aside.waiting {
            let never = || Rule::never(&self.rest.rule, &self.state, self.latest, *permits);
            if let Some(why) = self.rest.shut.or_else(never) {
                ended.push((*ticket, WaitError::from(why)));
            }
        }
        if ended.is_empty() {
            self.rest.set_aside = Some(aside);
            return ended;
        }
        self.give_back_waiting(&aside);
        for (ticket, _) in &ended {
            let permits = aside.waiting.remove(ticket).unwrap_or(0);
            aside.permits = aside.permits.saturating_sub(permits);
        }
        self.hold_waiting(aside);
        ended
    }

    /// Changes the state in a way that makes receipts invalid, such as another quota: gives back
    /// what is set aside before the change, and sets it aside anew after it.
    pub(crate) fn without_set_aside<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let aside = self.rest.set_aside.take();
        if let Some(aside) = &aside {
            self.give_back_waiting(aside);
        }
        let result = act(self);
        if let Some(aside) = aside {
            self.hold_waiting(aside);
        }
        result
    }

    /// Removes what was set aside for `ticket`, for its waiter to use or to give back.
    pub(crate) fn take_set_aside(&mut self, ticket: Ticket) -> Option<Taken> {
        let mut aside = self.rest.set_aside.take()?;
        let taken = if let Some((_, taken)) = aside.served.remove(&ticket) {
            Some(taken)
        } else if let Some(permits) = aside.waiting.remove(&ticket) {
            self.give_back_waiting(&aside);
            aside.permits = aside.permits.saturating_sub(permits);
            let taken = self.hold_now(permits, aside.is_exact);
            self.hold_waiting(aside);
            return Some(taken);
        } else {
            None
        };
        if !aside.waiting.is_empty() || !aside.served.is_empty() {
            self.rest.set_aside = Some(aside);
        }
        taken
    }

    /// The progress of the waiter of `ticket` in this core.
    fn standing(&self, ticket: Ticket) -> Standing {
        let queue = &self.rest.queue;
        if queue.get(ticket).is_some() || queue.missed(ticket).is_some() {
            Standing::Waits
        } else if self.rest.queue.is_granted(ticket) {
            Standing::Served
        } else {
            Standing::Ended
        }
    }

    /// Takes `permits` at the present time; if the rule is not exact, they are taken already.
    fn hold_now(&mut self, permits: u64, is_exact: bool) -> Taken {
        let receipt = self.next_receipt(self.latest);
        if is_exact {
            self.rest.rule.hold(&mut self.state, self.latest, permits, receipt);
        }
        Taken { receipt, ..Taken::default() }
    }

    /// Gives back what is set aside for all waiters.
    fn give_back_waiting(&mut self, aside: &SetAside) {
        if aside.is_exact && aside.permits > 0 {
            self.rest.rule.undo(&mut self.state, self.latest, aside.permits, aside.receipt);
        }
    }

    /// Sets aside the permits of all waiters at the present time.
    fn hold_waiting(&mut self, mut aside: Box<SetAside>) {
        if aside.permits > 0 {
            aside.receipt = self.hold_now(aside.permits, aside.is_exact).receipt;
        }
        if !aside.waiting.is_empty() || !aside.served.is_empty() {
            self.rest.set_aside = Some(aside);
        }
    }

    /// Whether the rule gives back what it has just held.
    fn gives_back(&self) -> bool {
        let (rule, now) = (&self.rest.rule, self.latest);
        let mut state = Algorithm::start(rule, now, 0);
        let receipt = Receipt::new(1, now);
        rule.hold(&mut state, now, 1, receipt);
        rule.undo(&mut state, now, 1, receipt);
        Algorithm::used(rule, &state, now) == 0
    }
}
