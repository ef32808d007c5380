//! Waiting across processes.

use tokio::time::Instant;
use tollgate::llm;
use tollgate::shared_llm::Error;

use crate::workers::{SECOND, builder, client, store, told, worker};

#[tokio::test(start_paused = true)]
async fn processes_are_served_in_the_order_of_the_store() {
    let store = client(&store());
    let limits = || builder().requests_per_minute(60);
    let workers = [worker(limits(), &store), worker(limits(), &store)];
    for _ in 0..60 {
        workers[0].try_acquire(0).await.unwrap().settle(0);
    }
    let started = Instant::now();
    let mut waiting = Vec::new();
    for turn in 0..10_u32 {
        let model = workers[turn as usize % 2].clone();
        waiting.push(tokio::spawn(async move {
            model.acquire(0).await.unwrap().settle(0);
            started.elapsed()
        }));
        told().await;
    }
    for (turn, waiter) in (1..).zip(waiting) {
        let waited = waiter.await.unwrap();
        let due = SECOND * turn;
        assert!(waited >= due && waited < due + SECOND / 10, "{turn}: {waited:?}");
    }
    // Each of them has asked the store once; who has waited long also asks about pauses.
    let stats = store.stats();
    assert!(stats.shared <= 60 + 2 * 10 + 1, "{stats:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_takes_nothing() {
    let store = client(&store());
    let limits = || builder().tokens_per_minute(600);
    let (one, other) = (worker(limits(), &store), worker(limits(), &store));
    one.acquire(600).await.unwrap().settle(600);
    let started = Instant::now();
    let error = other.acquire_timeout(100, 5 * SECOND).await.unwrap_err();
    let Error::Limited(llm::Error::Timeout { retry_after: Some(wait) }) = error else {
        panic!("{error}")
    };
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
    assert!(matches!(error, Error::Limited(llm::Error::Never { most: 600, .. })), "{error}");
    model.close();
    let error = model.acquire(1).await.unwrap_err();
    assert_eq!(error, Error::Limited(llm::Error::Closed));
}
