//! Futures that are dropped at random moments: what they took is given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::Limiter;
use tollgate::shared::store::Rule;
use tollgate_redis::Redis;

use crate::support::eventually;
use crate::support::random::Random;
use crate::support::server::{Server, kinds};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

const TASKS: u64 = 40;
const REQUESTS: u64 = 200;

/// Nothing comes back by itself during the test.
fn quota() -> Quota {
    Quota::per(10_000_000, Duration::from_secs(1_000 * 86_400))
}

/// Tasks ask for permits, and drop 30 % of their requests. Returns how many permits were granted,
/// and how many requests were dropped before an answer.
async fn ask_and_drop(limiter: &Limiter, seed: u64) -> (u64, u64) {
    let (granted, dropped) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (limiter, mut random) = (limiter.clone(), Random::with_seed(seed ^ task));
            let (granted, dropped) = (Arc::clone(&granted), Arc::clone(&dropped));
            tokio::spawn(async move {
                for _ in 0..REQUESTS {
                    let permits = 1 + random.below(3);
                    let request = limiter.try_acquire("alice", permits);
                    let is_dropped = random.below(10) < 3;
                    // About as long as a call takes, so that calls are dropped at every stage.
                    let time = if is_dropped {
                        Duration::from_micros(random.below(1_500))
                    } else {
                        Duration::MAX
                    };
                    match tokio::time::timeout(time, request).await {
                        Ok(grant) => {
                            grant.expect("there is enough");
                            granted.fetch_add(permits, Ordering::SeqCst);
                        }
                        Err(_) => {
                            dropped.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    (granted.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst))
}

/// Waits until the store has charged what was granted, and no more.
async fn assert_conserved(what: &str, limiter: &Limiter, granted: u64, dropped: u64) {
    let last = AtomicU64::new(0);
    let is_conserved = async || {
        let used = limiter.usage("alice").await.unwrap().limits[0].used;
        if last.swap(used, Ordering::SeqCst) != used {
            eprintln!("{what}: {granted} granted, {dropped} requests dropped, {used} charged");
        }
        used == granted
    };
    eventually(is_conserved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_dropped_give_back_what_they_took() {
    for kind in kinds() {
        let server = Server::start(kind);
        let store = Redis::builder(&server.url()).connect_deadline(PATIENT).deadline(PATIENT);
        let store = store.connect().await.unwrap();
        let mut random = Random::new("requests_that_are_dropped");
        for rule in [Rule::TokenBucket, Rule::FixedWindow, Rule::StrictWindow] {
            let name = format!("{rule:?}");
            let builder = Limiter::<str>::builder(name.clone(), quota()).rule(rule);
            let limiter = builder.store(store.clone()).deadline(PATIENT).build().unwrap();
            let (granted, dropped) = ask_and_drop(&limiter, random.next()).await;
            assert!(dropped > 0, "{kind} {name}: some are dropped before their answer");
            assert_conserved(&format!("{kind} {name}"), &limiter, granted, dropped).await;
        }
        // What was drawn ahead is handed back when the limiter that drew it is closed.
        let build = || {
            let builder = Limiter::<str>::builder("leased", quota()).store(store.clone());
            builder.lease(Duration::from_millis(20)).deadline(PATIENT).build().unwrap()
        };
        let (limiter, observer) = (build(), build());
        let (granted, dropped) = ask_and_drop(&limiter, random.next()).await;
        limiter.close();
        assert!(limiter.stats().leased > 0, "{kind}: most permits were drawn ahead");
        assert_conserved(&format!("{kind} leased"), &observer, granted, dropped).await;
    }
}
