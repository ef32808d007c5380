//! The waits that need two limits: a key's and the global one.

use std::collections::HashMap;

use crate::sync::Mutex;
use crate::wait::Ticket;
use crate::{Grant, Timestamp};

/// The waits of one [`ForKey`](super::ForKey) that need both limits, by ticket.
#[derive(Debug, Default)]
pub(crate) struct PairWaits(Mutex<Tickets>);

#[derive(Debug, Default)]
struct Tickets {
    last: Option<Ticket>,
    waits: HashMap<Ticket, PairWait>,
}

/// How far a wait has come at one of its limits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    NotJoined,
    Waiting(Ticket),
    /// Served, with this grant, which can still be given back.
    Granted(Grant),
    /// Served; the permits are set aside until the global limit serves the wait too. They are in
    /// the key's own bucket or, if `shared`, in the overflow bucket.
    SetAside {
        shared: bool,
    },
    /// The limit does not apply: the key is exempt.
    NotNeeded,
}

/// A wait, and how far it has come at the key's limit and at the global one.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairWait {
    pub(super) permits: u64,
    pub(super) deadline: Timestamp,
    pub(super) key: Stage,
    pub(super) global: Stage,
}

impl PairWaits {
    pub(super) fn enter(&self, wait: PairWait) -> Ticket {
        let mut all = self.0.lock();
        let ticket = all.last.map_or(Ticket::FIRST, Ticket::next);
        all.last = Some(ticket);
        all.waits.insert(ticket, wait);
        ticket
    }

    pub(super) fn get(&self, ticket: Ticket) -> Option<PairWait> {
        self.0.lock().waits.get(&ticket).copied()
    }

    pub(super) fn set(&self, ticket: Ticket, changed: PairWait) {
        if let Some(wait) = self.0.lock().waits.get_mut(&ticket) {
            *wait = changed;
        }
    }

    pub(super) fn remove(&self, ticket: Ticket) -> Option<PairWait> {
        self.0.lock().waits.remove(&ticket)
    }
}
