//! What the tests need: real servers, and a store on a clock that is set by hand.

#![allow(dead_code, reason = "each test uses some of it")]

pub mod certificates;
pub mod cluster;
pub mod proxy;
pub mod random;
pub mod sentinel;
pub mod server;
pub mod verbs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use server::Server;
use tollgate::Quota;
use tollgate::shared::store::{
    Answer, Ask, Buckets, Charge, LimitSpec, Namespace, Part, Rule, Store, StoreError, Verb,
};
use tollgate_redis::Redis;

/// A time in µs that is set by hand.
#[derive(Clone, Debug, Default)]
pub struct Micros(Arc<AtomicU64>);

impl Micros {
    pub fn set(&self, micros: u64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn clock(&self) -> impl Fn() -> Duration + Send + Sync + 'static {
        let this = self.clone();
        move || Duration::from_micros(this.get())
    }
}

/// A namespace with one limit.
pub fn one_limit(rule: Rule, quota: Quota) -> Namespace {
    Namespace::new("users", vec![LimitSpec::new("requests", rule, quota)])
}

/// An ask of one subject with one limit.
pub fn ask(verb: Verb, subject: &str, count: u64) -> Ask {
    Ask::new(verb, count, Part::new(0, subject, [Charge::new(1)]))
}

/// Asks once.
pub async fn answer(buckets: &Arc<dyn Buckets>, ask: Ask) -> Result<Answer, StoreError> {
    let mut answers = buckets.ask(vec![ask]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// The buckets of these namespaces in a store on a server, with deadlines that a busy machine
/// keeps.
pub async fn open(server: &Server, namespaces: &[Namespace]) -> Arc<dyn Buckets> {
    let patience = Duration::from_secs(10);
    let store = Redis::builder(&server.url()).deadline(patience).connect_deadline(patience);
    let store = store.connect().await.expect("the server is there");
    store.open(namespaces).expect("the quotas are exact")
}

/// Tries again until it holds, at most 20 s.
pub async fn eventually<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(std::time::Instant::now() < until, "it never holds");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
