//! While the store does not answer.

use std::time::Duration;

use tollgate::llm::Error;
use tollgate::shared::{Client, Outage, Source};

use crate::unruly_store::{Manner, Unruly};
use crate::workers::{SECOND, builder, told, worker};

#[tokio::test(start_paused = true)]
async fn each_process_has_its_share() {
    let store = Unruly::new();
    let client = || Client::builder(store.clone()).on_outage(Outage::local_share(1, 4));
    let limits = || builder().requests_per_minute(100);
    let (one, other) = (worker(limits(), &client()), worker(limits(), &client()));
    one.acquire(0).await.unwrap().settle(0);
    store.set(Manner::Stopped);
    for process in [&one, &other] {
        let mut granted = 0;
        while let Ok(permit) = process.try_acquire(0).await {
            assert_eq!(permit.source(), Source::LocalShare);
            permit.settle(0);
            granted += 1;
        }
        // One of the shares was used before.
        assert!((24..=25).contains(&granted), "{granted}");
    }
    store.set(Manner::Answers(Duration::ZERO));
    tokio::time::sleep(SECOND).await;
    let permit = one.acquire(0).await.unwrap();
    assert_eq!(permit.source(), Source::Shared);
    permit.settle(0);
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_counts_in_the_share() {
    let store = Unruly::new();
    store.set(Manner::Stopped);
    let client = Client::builder(store.clone()).on_outage(Outage::local_share(1, 2));
    let model = worker(builder().tokens_per_day(2_000), &client);
    let permit = model.acquire(1_000).await.unwrap();
    assert!(model.try_acquire(1_000).await.is_err());
    permit.settle(100);
    told().await;
    let permit = model.acquire(900).await.unwrap();
    permit.settle(1_000);
    told().await;
    assert!(model.try_acquire(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_closed_limiter_refuses_with_its_own_error() {
    let store = Unruly::new();
    store.set(Manner::Stopped);
    let model = worker(builder().requests_per_day(2), &Client::builder(store.clone()));
    for _ in 0..3 {
        let error = model.acquire(1).await.unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
    // Nothing was taken of the process's own limiter.
    assert_eq!(model.local().usage().in_flight, 0);
    store.set(Manner::Answers(Duration::ZERO));
    tokio::time::sleep(SECOND).await;
    model.acquire(1).await.unwrap().settle(1);
}
