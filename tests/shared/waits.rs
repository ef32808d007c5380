//! Waiting across processes.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tollgate::shared::Limiter;
use tollgate::shared::store::Rule;
use tollgate::{Quota, Rejection};

use crate::unruly_store::Unruly;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(store: &Unruly) -> Limiter {
    let builder = Limiter::builder("api", Quota::per_second(1)).store(store.clone());
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn waiters_of_several_processes_are_served_in_order_and_ask_once() {
    let store = Unruly::new();
    let processes = [limiter(&store), limiter(&store), limiter(&store)];
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for place in 0..30_u32 {
        let limiter = processes[place as usize % 3].clone();
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(place.into())).await;
            limiter.acquire("alice", 1).await.unwrap();
            (started.elapsed().as_millis(), place)
        });
    }
    let mut served = tasks.join_all().await;
    served.sort_unstable();
    for (place, (at, who)) in served.into_iter().enumerate() {
        assert_eq!((at.div_ceil(1000), who as usize), (place as u128, place));
    }
    assert_eq!(store.calls().iter().sum::<usize>(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_can_t_be_met_fails_at_once_and_takes_nothing() {
    let store = Unruly::new();
    let limiter = limiter(&store);
    limiter.consume("alice", 10).await.unwrap();
    let started = Instant::now();
    let refused = limiter.acquire_timeout("alice", 1, 9 * SECOND).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(10 * SECOND));
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 10);
    let grant = limiter.acquire_timeout("alice", 1, 10 * SECOND).await.unwrap();
    assert_eq!(started.elapsed(), 10 * SECOND);
    assert_eq!(grant.reset_after, SECOND);
    let refused = limiter.acquire("alice", 2).await.unwrap_err().rejection;
    assert!(matches!(refused, Rejection::ExceedsBurst { .. }), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_waiter_that_leaves_gives_its_permits_back() {
    let store = Unruly::new();
    let limiter = limiter(&store);
    limiter.try_acquire("alice", 1).await.unwrap();
    let first = limiter.reserve("alice", 1, 60 * SECOND).await.unwrap();
    let second = limiter.reserve("alice", 1, 60 * SECOND).await.unwrap();
    assert_eq!((first.delay(), second.delay()), (SECOND, 2 * SECOND));
    second.cancel();
    let second = limiter.reserve("alice", 1, 60 * SECOND).await.unwrap();
    assert_eq!(second.delay(), 2 * SECOND);
    // Others stand behind: their times do not change.
    first.cancel();
    assert_eq!(limiter.usage("alice").await.unwrap().limits[0].used, 3);
    tokio::time::sleep(2 * SECOND).await;
    second.wait().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiters_for_a_window_ask_again() {
    let store = Unruly::new();
    let builder = Limiter::<str>::builder("api", Quota::per_minute(2)).rule(Rule::FixedWindow);
    let limiter = builder.store(store.clone()).build().unwrap();
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            limiter.acquire("alice", 1).await.unwrap();
            started.elapsed().as_secs()
        });
    }
    let mut served = tasks.join_all().await;
    served.sort_unstable();
    assert_eq!(served, [0, 0, 60, 60, 120, 120]);
    let refused = limiter.acquire_timeout("alice", 1, SECOND).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_waits_and_gives_their_permits_back() {
    let store = Unruly::new();
    let (here, there) = (limiter(&store), limiter(&store));
    here.try_acquire("alice", 1).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let limiter = here.clone();
        tasks.spawn(async move { limiter.acquire("alice", 1).await.unwrap_err().rejection });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(there.usage("alice").await.unwrap().limits[0].used, 4);
    here.close();
    assert_eq!(tasks.join_all().await, [Rejection::Closed; 3]);
    assert_eq!(here.allow("alice").await.unwrap_err().rejection, Rejection::Closed);
    assert!(here.is_closed() && !there.is_closed());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let used = there.usage("alice").await.unwrap().limits[0].used;
    assert!(used <= 3, "{used}");
}

#[test]
fn a_runtime_that_ends_grants_nothing_early() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let limiter = limiter(&Unruly::new());
    let first = runtime();
    let mut waiting = Box::pin(async {
        limiter.consume("alice", 1_000).await.unwrap();
        limiter.acquire("alice", 1).await
    });
    first.block_on(async {
        assert!(futures_lite::future::poll_once(waiting.as_mut()).await.is_none());
    });
    drop(first);
    let refused = runtime().block_on(waiting).unwrap_err().rejection;
    assert!(matches!(refused, Rejection::Unavailable { .. }), "{refused:?}");
}
