//! A store in memory that is as far away as a server.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::TokioClock;
use tollgate::shared::store::{
    Answers, Ask, Buckets, Memory, Namespace, OpenError, Store, StoreError,
};

use super::scene::slow;
use super::split_mix::SplitMix64;

/// The shortest and the longest round trip.
const ROUND_TRIPS: [Duration; 2] = [Duration::from_micros(300), Duration::from_millis(2)];

/// The longest time from a decision of the store until the answer is there.
pub(crate) const LONGEST_WAY_BACK: Duration = Duration::from_millis(1);

/// The server, and the network around it. Clones share everything.
#[derive(Clone)]
pub(crate) struct Server {
    memory: Memory<TokioClock>,
    network: Arc<Network>,
}

struct Network {
    random: Mutex<SplitMix64>,
    calls: AtomicU64,
    asks: AtomicU64,
}

impl Server {
    pub(crate) fn new(keys: usize, seed: u64) -> Self {
        // Some subjects are full and not yet evicted.
        let memory = Memory::builder().max_subjects(2 * keys + 2).clock(TokioClock::new()).build();
        let (calls, asks) = (AtomicU64::new(0), AtomicU64::new(0));
        let random = Mutex::new(SplitMix64::new(seed));
        Self { memory, network: Arc::new(Network { random, calls, asks }) }
    }

    /// The number of calls so far, and of asks in them.
    pub(crate) fn calls_and_asks(&self) -> (u64, u64) {
        let Network { calls, asks, .. } = &*self.network;
        (calls.load(Ordering::Relaxed), asks.load(Ordering::Relaxed))
    }
}

/// The server as one instance sees it.
#[derive(Clone)]
pub(crate) struct Link {
    server: Server,
    /// Whether the instance is dead: it sends nothing any more, and hears nothing.
    is_cut: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, is_cut: Arc::default() }
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}

impl Store for Link {
    fn open(&self, namespaces: &[Namespace]) -> Result<Arc<dyn Buckets>, OpenError> {
        let buckets = self.server.memory.open(namespaces)?;
        Ok(Arc::new(DistantBuckets { buckets, link: self.clone() }))
    }
}

struct DistantBuckets {
    buckets: Arc<dyn Buckets>,
    link: Link,
}

impl Buckets for DistantBuckets {
    fn ask(&self, asks: Vec<Ask>) -> Answers {
        let nothing = |error: StoreError| vec![Err(error); asks.len()];
        if self.link.is_cut() {
            return Box::pin(ready(nothing(StoreError::Unreachable("dead".into()))));
        }
        let network = &self.link.server.network;
        network.calls.fetch_add(1, Ordering::Relaxed);
        network.asks.fetch_add(asks.len() as u64, Ordering::Relaxed);
        let share = network.random.lock().unwrap().share();
        let [shortest, longest] = ROUND_TRIPS;
        let way = slow(shortest + (longest - shortest).mul_f64(share)) / 2;
        let (buckets, link) = (Arc::clone(&self.buckets), self.link.clone());
        Box::pin(async move {
            tokio::time::sleep(way).await;
            let answers = buckets.ask(asks).await;
            tokio::time::sleep(way).await;
            if link.is_cut() {
                let lost = StoreError::Lost("dead".into());
                return answers.into_iter().map(|_| Err(lost.clone())).collect();
            }
            answers
        })
    }
}
