//! One server of the store: the asks that are on their way to it, and whether it answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Id;

use super::batching::Batching;
use super::pending::Pending;
use super::{Call, Common, Departure, Failure, give_back};
use crate::shared::store::{Answer, Ask};
use crate::sync::Mutex;

/// The most servers that are told apart: the numbers of a store are taken modulo this one.
pub(super) const MOST_SERVERS: usize = 64;

/// The servers that were asked so far.
pub(super) struct Servers(Box<[OnceLock<Arc<Server>>]>);

/// What this process knows of one server.
pub(super) struct Server {
    pub(super) common: Arc<Common>,
    /// Its number, by [`Buckets::server_of`](crate::shared::store::Buckets::server_of).
    pub(super) number: usize,
    /// Whether an outage lasts; written under the lock of `batching` only.
    pub(super) is_out: AtomicBool,
    /// Whether a task asks the server whether it answers again.
    pub(super) is_probing: AtomicBool,
    /// The runtimes in which a task looks for calls that take too long. A task that finds nothing
    /// under way is removed under the lock of `batching` only.
    pub(super) watched_in: Mutex<Vec<Id>>,
    pub(super) batching: Mutex<Batching<Arc<Pending>>>,
}

impl Servers {
    pub(super) fn new() -> Self {
        Self((0..MOST_SERVERS).map(|_| OnceLock::new()).collect())
    }

    /// The server that does an ask.
    pub(super) fn of(&self, common: &Arc<Common>, ask: &Ask) -> &Arc<Server> {
        let number = common.opened.read().buckets.server_of(ask) % MOST_SERVERS;
        self.0[number].get_or_init(|| Arc::new(Server::new(common, number)))
    }

    /// Whether a server does not answer.
    pub(super) fn are_any_out(&self) -> bool {
        self.0.iter().filter_map(OnceLock::get).any(|server| server.is_out())
    }
}

impl Server {
    fn new(common: &Arc<Common>, number: usize) -> Self {
        let batch_size = common.buckets().batch_size();
        let batching = Batching::new(batch_size, |pending: &Arc<Pending>| !pending.is_left());
        Self {
            common: Arc::clone(common),
            number,
            is_out: AtomicBool::new(false),
            is_probing: AtomicBool::new(false),
            watched_in: Mutex::new(Vec::new()),
            batching: Mutex::new(batching),
        }
    }

    /// Whether an outage lasts.
    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// Takes an ask in. Returns the call that carries it, if whoever waits may drive the call.
    pub(super) fn join(self: &Arc<Self>, pending: Arc<Pending>) -> Option<Call> {
        let departure = {
            let mut batching = self.batching.lock();
            if self.is_out() {
                drop(batching);
                // Whoever waits is the caller, and hears it at once.
                let _ = pending.tell(Err(Failure::Outage));
                return None;
            }
            batching.join(pending)
        };
        let departure = departure?;
        let is_driven = departure.is_driven;
        let call = Call::new(Arc::clone(self), departure);
        if is_driven {
            return Some(call);
        }
        call.go_on();
        None
    }

    /// Notes that the answers of a call are there. Returns whether it had not been given up.
    pub(super) fn is_answered(&self, call: u64) -> bool {
        self.batching.lock().is_answered(call)
    }

    /// Notes that whoever drove a call has gone away, and a task goes on with it.
    pub(super) fn is_driven_no_more(&self, call: u64) {
        self.batching.lock().is_driven_no_more(call);
    }

    /// Ends a call. Returns the asks that go out next.
    pub(super) fn end(&self, call: u64) -> Option<Departure<Arc<Pending>>> {
        self.batching.lock().end(call)
    }

    /// Sends an ask whose answer nobody needs.
    pub(super) fn send(self: &Arc<Self>, ask: Ask) {
        if let Some(call) = self.join(Arc::new(Pending::unattended(ask))) {
            call.go_on_alone();
        }
    }

    /// Gives back what an ask has taken, if it took anything. Also in an outage: the store has just
    /// answered.
    pub(super) fn give_back(self: &Arc<Self>, ask: &Ask, answer: &Answer) {
        let Some(back) = give_back(ask, answer) else { return };
        if !self.is_out() {
            return self.send(back);
        }
        let departure = self.batching.lock().beside(Arc::new(Pending::unattended(back)));
        Call::new(Arc::clone(self), departure).go_on();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Others count with the same counters.
        if *self.is_out.get_mut() {
            let counters = &self.common.counters;
            counters.outage_has_lasted(counters.outage_ends());
        }
    }
}
