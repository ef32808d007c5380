//! TICKETS

use std::collections::HashMap;

use crate::sync::Mutex;
use crate::wait::Ticket;
use crate::{Grant, Timestamp};

/// Where those who wait by way of one view stand.
#[derive(Debug, Default)]
pub(crate) struct PairWaits(Mutex<Tickets>);

#[derive(Debug, Default)]
struct Tickets {
    last: Option<Ticket>,
    waits: HashMap<Ticket, PairWait>,
}

/// A line in which somebody stands, or has what it stood for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    NotJoined,
    Waiting(Ticket),
    /// It has been served, with this grant, which may still be given back.
    Granted(Grant),
    /// It has been served, and its permits are set aside until everybody's limit serves it too; in the
    /// key's bucket, or in the one that is `shared` by keys without room.
    SetAside {
        shared: bool,
    },
    /// There is nothing to stand for: the key is exempt.
    NotNeeded,
}

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
