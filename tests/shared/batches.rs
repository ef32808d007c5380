//! Which asks go out together.

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
    assert_eq!(store.calls(), [1, 19]);
    // Whole batches do not wait for the call that is under way.
    assert_eq!(at_once(&limiter, 200).await, 70 - 21);
    assert_eq!(store.calls(), [1, 64, 64, 64, 7]);
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
