//! Waiting across processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;
use tollgate::llm::Error;

use crate::workers::{SECOND, builder, client, store, told, worker};

#[tokio::test(start_paused = true)]
async fn a_process_serves_its_own_in_order_and_nobody_starves() {
    let store = client(&store());
    let limits = || builder().requests_per_minute(60);
    let workers = [worker(limits(), &store), worker(limits(), &store)];
    for turn in 0..60 {
        workers[turn % 2].try_acquire(0).await.unwrap().settle(0);
    }
    let started = Instant::now();
    let mut waiting = Vec::new();
    for turn in 0..40 {
        let model = workers[turn % 2].clone();
        waiting.push(tokio::spawn(async move {
            model.acquire(0).await.unwrap().settle(0);
            started.elapsed()
        }));
        told().await;
    }
    let mut waited = Vec::new();
    for waiter in waiting {
        waited.push(waiter.await.unwrap());
    }
    for of_process in [0, 1] {
        let in_order: Vec<_> = waited.iter().skip(of_process).step_by(2).collect();
        assert!(in_order.is_sorted(), "{in_order:?}");
    }
    waited.sort_unstable();
    // One a second, whoever is served, and nothing is left unused for long.
    for (nth, waited) in (1..).zip(waited) {
        let due = SECOND * nth;
        assert!(waited >= due && waited < due + SECOND, "{nth}: {waited:?}");
    }
}

/// Small requests of another process take whatever there is, until the large one takes a place.
#[tokio::test(start_paused = true)]
async fn a_large_request_is_not_overtaken_for_ever() {
    let store = client(&store());
    let limits = || builder().tokens_per_minute(6_000);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    one.acquire(6_000).await.unwrap().settle(6_000);
    tokio::spawn(async move {
        loop {
            other.acquire(50).await.unwrap().settle(50);
        }
    });
    tokio::time::sleep(60 * SECOND).await;
    let started = Instant::now();
    one.acquire(5_000).await.unwrap().settle(5_000);
    let waited = started.elapsed();
    assert!(waited > 10 * SECOND && waited < 70 * SECOND, "{waited:?}");
}

/// What requests give back is used, also while others wait.
#[tokio::test(start_paused = true)]
async fn what_estimates_give_back_is_used_by_those_who_wait() {
    let store = client(&store());
    let limits = || builder().tokens_per_minute(60_000);
    let workers = [worker(limits(), &store), worker(limits(), &store)];
    let (started, used) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for task in 0..80 {
        let (model, used) = (workers[task % 2].clone(), Arc::clone(&used));
        tasks.push(tokio::spawn(async move {
            // Half of each estimate is needed.
            loop {
                let permit = model.acquire(2_000).await.unwrap();
                if started.elapsed() > 300 * SECOND {
                    return permit.cancel();
                }
                used.fetch_add(1_000, Ordering::Relaxed);
                tokio::time::sleep(2 * SECOND).await;
                permit.settle(1_000);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let used = used.load(Ordering::Relaxed);
    let all = 60_000 + 300 * 1_000;
    assert!(used >= all - all / 20 && used <= all + 2_000, "{used} of {all}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_takes_nothing() {
    let store = client(&store());
    let limits = || builder().tokens_per_minute(600);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    one.acquire(600).await.unwrap().settle(600);
    let started = Instant::now();
    let error = other.acquire_timeout(100, 5 * SECOND).await.unwrap_err();
    let Error::Timeout { retry_after: Some(wait) } = error else { panic!("{error}") };
    assert!(wait > 9 * SECOND && started.elapsed() < SECOND);
    let permit = other.acquire_timeout(100, 11 * SECOND).await.unwrap();
    assert!(started.elapsed() < 11 * SECOND);
    permit.settle(100);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_refused_for_good() {
    let store = client(&store());
    let model = worker(builder().tokens_per_minute(600), &store);
    let error = model.acquire(601).await.unwrap_err();
    assert!(matches!(error, Error::Never { most: 600, .. }), "{error}");
    model.close();
    let error = model.acquire(1).await.unwrap_err();
    assert_eq!(error, Error::Closed);
}
