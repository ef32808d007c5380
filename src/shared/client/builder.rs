//! Building a client.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::{Client, Common, Counters, Refusals, Servers, Stats};
use crate::TokioClock;
use crate::shared::Outage;
use crate::shared::store::{Memory, Namespace, OpenError, Store};

/// Builds a [`Client`]. Returned by [`Client::builder`]. Clients of clones of a builder have their
/// [`Stats`] in common, and what this process has of the quotas in an outage.
#[derive(Clone)]
#[must_use = "a builder does nothing until `open`"]
pub struct ClientBuilder {
    store: Arc<dyn Store>,
    deadline: Duration,
    probe_every: Duration,
    trust_refusals_for: Duration,
    outage: Outage,
    counters: Arc<Counters>,
    /// Where the shares of [`Outage::LocalShare`] are kept.
    share: Memory<TokioClock>,
}

impl ClientBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            deadline: Duration::from_millis(50),
            probe_every: Duration::from_millis(100),
            trust_refusals_for: Duration::from_secs(1),
            outage: Outage::default(),
            counters: Arc::default(),
            // Everything that a client does runs on tokio's time.
            share: Memory::builder().clock(TokioClock::default()).build(),
        }
    }

    /// Another store.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// The longest time that a decision takes, with queueing, sending and answering. The default is
    /// 50 ms.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How requests are decided while the store does not answer. The default is
    /// [`Outage::Closed`].
    pub fn on_outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// How long to wait during an outage before the store is asked again. The default is 100 ms.
    pub fn probe_every(mut self, pause: Duration) -> Self {
        self.probe_every = pause;
        self
    }

    /// The longest time for which a refusal of the store answers further requests of the same
    /// subject. The default is 1 s. Within this time, this process does not see that another
    /// process has given permits back. Zero asks the store each time.
    pub fn trust_refusals_for(mut self, longest: Duration) -> Self {
        self.trust_refusals_for = longest;
        self
    }

    /// What the clients of clones of this builder have done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Opens the store with the namespaces of the subjects.
    ///
    /// # Errors
    ///
    /// If the store can't keep a quota exactly.
    pub fn open(self, namespaces: &[Namespace]) -> Result<Client, OpenError> {
        let opened = super::Opened::new(&*self.store, self.outage, namespaces, &self.share)?;
        let common = Common {
            store: self.store,
            deadline: self.deadline,
            probe_every: self.probe_every,
            outage: self.outage,
            counters: self.counters,
            share: self.share,
            opened: RwLock::new(opened),
            refusals: Refusals::new(self.trust_refusals_for),
        };
        Ok(Client { common: Arc::new(common), servers: Arc::new(Servers::new()) })
    }
}
