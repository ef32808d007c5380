//! A store of three servers in memory that charges one subject in an ask, as a cluster does.

use std::sync::Arc;

use tollgate::shared::store::{Answers, Ask, Buckets, Namespace, OpenError, Store, StoreError};

use crate::unruly_store::Unruly;

/// A store; clones share everything. A subject that begins with the letter `a` is on the first
/// server, `b` on the second, and `c` on the third.
#[derive(Clone)]
pub(crate) struct Divided {
    pub(crate) servers: [Unruly; 3],
}

impl Divided {
    /// Servers that answer at once.
    pub(crate) fn new() -> Self {
        Self { servers: [Unruly::new(), Unruly::new(), Unruly::new()] }
    }

    /// The number of asks of each call to each server since this was last asked.
    pub(crate) fn calls(&self) -> [Vec<usize>; 3] {
        self.servers.each_ref().map(Unruly::calls)
    }
}

impl Store for Divided {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        let servers = self.servers.iter().map(|server| server.open(namespaces));
        Ok(Arc::new(DividedBuckets(servers.collect::<Result<_, _>>()?)))
    }
}

struct DividedBuckets(Vec<Arc<dyn Buckets>>);

impl Buckets for DividedBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        let servers: Vec<_> = asks.iter().map(|ask| self.server_of(ask)).collect();
        assert!(servers.iter().all(|server| *server == servers[0]), "a call goes to one server");
        if asks.iter().any(|ask| ask.parts.len() > 1) {
            let misfit = StoreError::Misfit("the subjects may be on several servers");
            return Box::pin(async move { vec![Err(misfit); asks.len()] });
        }
        self.0[servers[0]].ask(asks)
    }

    fn spans_subjects(&self) -> bool {
        false
    }

    fn server_of(&self, ask: &Ask) -> usize {
        let subject = &*ask.parts[0].subject;
        let letter = || usize::from(subject.as_bytes()[0].saturating_sub(b'a'));
        // Probes have numbers.
        let number = subject.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
        number.unwrap_or_else(letter) % self.0.len()
    }
}
