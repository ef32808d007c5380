//! Which asks go out together.

use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::Quota;
use tollgate::shared::Limiter;

use crate::unruly_store::Unruly;

/// `n` tasks that ask at once; how many were allowed.
async fn at_once(limiter: &Limiter<u32>, n: u32) -> usize {
    let mut tasks = JoinSet::new();
    for subject in 0..n {
        let limiter = limiter.clone();
        tasks.spawn(async move { limiter.allow(&(subject % 7)).await.unwrap() });
    }
    tasks.join_all().await.into_iter().filter(|allowed| *allowed).count()
}

#[tokio::test(start_paused = true)]
async fn an_idle_store_is_asked_at_once_and_a_busy_one_in_batches() {
    let store = Unruly::slow(Duration::from_millis(1));
    let limiter = Limiter::builder("api", Quota::per_hour(10)).store(store.clone());
    let limiter = limiter.build().unwrap();
    assert_eq!(at_once(&limiter, 1).await, 1);
    assert_eq!(store.calls(), [1]);
    assert_eq!(at_once(&limiter, 20).await, 20);
    // The first call is driven by whoever waits for it, and nobody else waits for its end.
    assert_eq!(store.calls(), [1, 1, 18]);
    // Whole batches do not wait for the call that is under way.
    assert_eq!(at_once(&limiter, 200).await, 70 - 21);
    assert_eq!(store.calls(), [1, 1, 64, 64, 64, 6]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_future_that_is_not_polled() {
    let store = Unruly::slow(Duration::from_millis(1));
    let limiter = Limiter::builder("api", Quota::per_hour(10)).store(store.clone());
    let limiter = limiter.build().unwrap();
    let mut forgotten = pin!(limiter.allow(&1_u32));
    assert!(futures_lite::future::poll_once(forgotten.as_mut()).await.is_none());
    for _ in 0..3 {
        assert_eq!(at_once(&limiter, 5).await, 5);
    }
    assert_eq!(limiter.stats().outages, 0);
    assert_eq!(forgotten.await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn one_after_the_other_is_one_call_each() {
    let store = Unruly::slow(Duration::from_millis(1));
    let limiter = Limiter::builder("api", Quota::per_hour(10)).store(store.clone());
    let limiter = limiter.build().unwrap();
    for _ in 0..5 {
        assert_eq!(limiter.allow(&1_u32).await, Ok(true));
    }
    assert_eq!(store.calls(), [1; 5]);
}
