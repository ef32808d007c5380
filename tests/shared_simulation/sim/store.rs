//! A store in memory that is as far away as a server.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::TokioClock;
use tollgate::shared::store::{
    Answers, Ask, Buckets, Memory, Namespace, OpenError, Store, StoreError,
};

use super::Outcome;
use super::keys::POPULAR_KEYS;
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
    popular_asks: AtomicU64,
}

impl Server {
    pub(crate) fn new(keys: usize, seed: u64) -> Self {
        // Some subjects are full and not yet evicted.
        let memory = Memory::builder().max_subjects(2 * keys + 2).clock(TokioClock::new()).build();
        let random = Mutex::new(SplitMix64::new(seed));
        let [calls, asks, popular_asks] = std::array::from_fn(|_| AtomicU64::new(0));
        Self { memory, network: Arc::new(Network { random, calls, asks, popular_asks }) }
    }

    /// Notes what has happened on the network so far.
    pub(crate) fn tell(&self, outcome: &mut Outcome) {
        let Network { calls, asks, popular_asks, .. } = &*self.network;
        outcome.calls = calls.load(Ordering::Relaxed);
        outcome.asks = asks.load(Ordering::Relaxed);
        outcome.popular_asks = popular_asks.load(Ordering::Relaxed);
    }
}

impl Network {
    fn carries(&self, asks: &[Ask]) {
        let is_popular =
            |ask: &&Ask| ask.parts[0].subject.parse::<usize>().is_ok_and(|key| key < POPULAR_KEYS);
        let popular = asks.iter().filter(is_popular).count();
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.asks.fetch_add(asks.len() as u64, Ordering::Relaxed);
        self.popular_asks.fetch_add(popular as u64, Ordering::Relaxed);
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
        network.carries(&asks);
        let share = network.random.lock().unwrap().share();
        let [shortest, longest] = ROUND_TRIPS;
        let way = slow(shortest + longest.saturating_sub(shortest).mul_f64(share)) / 2;
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
