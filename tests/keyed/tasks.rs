//! Tasks that wait for a key's permit and for everybody's, under tokio's paused time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, advance};
use tollgate::keyed::Terms;
use tollgate::{Jitter, Keyed, KeyedLimiter, Quota, RateLimiter, TokioClock, WaitError};

type OnTokio = Keyed<u64, tollgate::algorithm::GreedyRefill, TokioClock>;

const SECOND: Duration = Duration::from_secs(1);

/// A permit a second for each key, `all` a second for all of them.
fn limiter(each: u64, all: u64) -> Arc<OnTokio> {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(each)).clock(TokioClock::new());
    Arc::new(builder.global(Quota::per_second(all)).build().unwrap())
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

fn used(limiter: &OnTokio, key: u64) -> (u64, u64) {
    (limiter.usage(&key).used, limiter.global().unwrap().usage().used)
}

#[tokio::test(start_paused = true)]
async fn waiters_of_many_keys_are_served_in_turn_at_the_pace_of_all() {
    let limiter = limiter(1, 4);
    limiter.global().unwrap().drain();
    let start = Instant::now();
    let mut tasks = Vec::new();
    for key in 0..20 {
        let limiter = Arc::clone(&limiter);
        tasks.push(tokio::spawn(async move {
            limiter.acquire(&key, 1).await.unwrap();
            start.elapsed()
        }));
        tokio::task::yield_now().await;
    }
    for (i, task) in (1_u32..).zip(tasks) {
        assert_eq!(task.await.unwrap(), SECOND / 4 * i);
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_of_one_key_are_served_in_turn_at_its_own_pace() {
    let limiter = limiter(1, 4);
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..5 {
        let limiter = Arc::clone(&limiter);
        tasks.push(tokio::spawn(async move {
            limiter.acquire(&1, 1).await.unwrap();
            start.elapsed()
        }));
        tokio::task::yield_now().await;
    }
    for (i, task) in (0_u32..).zip(tasks) {
        assert_eq!(task.await.unwrap(), SECOND * i);
    }
}

/// At each stage: not polled, in the key's line, in the line for all, granted and not fetched.
#[tokio::test(start_paused = true)]
async fn a_future_dropped_at_any_stage_gives_all_back() {
    let limiter = limiter(1, 1);
    drop(limiter.acquire(&1, 1));
    assert_eq!(used(&limiter, 1), (0, 0));

    assert!(limiter.allow(&1));
    let mut waiting = Box::pin(limiter.acquire(&1, 1));
    assert!(poll_once(&mut waiting).await.is_pending());
    assert_eq!(limiter.usage(&1).waiting, 1);
    drop(waiting);
    assert_eq!((limiter.usage(&1).waiting, used(&limiter, 1)), (0, (1, 1)));

    // Another key's, which has its own permit and waits for everybody's.
    let mut waiting = Box::pin(limiter.acquire(&2, 1));
    assert!(poll_once(&mut waiting).await.is_pending());
    assert_eq!((used(&limiter, 2), limiter.usage(&2).waiting), ((1, 1), 0));
    assert_eq!(limiter.global().unwrap().usage().waiting, 1);
    drop(waiting);
    assert_eq!(used(&limiter, 2), (0, 1));
    assert_eq!(limiter.global().unwrap().usage().waiting, 0);

    let mut waiting = Box::pin(limiter.acquire(&2, 1));
    assert!(poll_once(&mut waiting).await.is_pending());
    advance(SECOND).await;
    assert_eq!(used(&limiter, 2), (1, 1), "its own was set aside until everybody's was granted");
    drop(waiting);
    assert_eq!(used(&limiter, 2), (0, 0));
    assert!(limiter.allow(&2));
    limiter.sweep();
    assert_eq!(limiter.len(), 1, "nothing is kept for keys that are full");
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_turn_has_come_stands_in_line_with_the_others_from_then_on() {
    let limiter = limiter(1, 2);
    assert!(limiter.allow(&1) && limiter.allow(&2));
    let start = Instant::now();
    let waiters: Vec<_> = [1, 3, 4, 5]
        .map(|key| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move {
                limiter.acquire(&key, 1).await.unwrap();
                start.elapsed()
            })
        })
        .into_iter()
        .collect();
    let mut ends = Vec::new();
    for waiter in waiters {
        ends.push(waiter.await.unwrap());
    }
    // Key 1 has its own after a second, and then stands behind 3, 4 and 5.
    assert_eq!(ends, [SECOND * 2, SECOND / 2, SECOND, SECOND * 3 / 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_either_limit_cannot_meet_fails_at_once_and_takes_nothing() {
    let limiter = limiter(1, 1);
    assert!(limiter.allow(&1));
    let start = Instant::now();
    let soon = SECOND - Duration::from_nanos(1);
    for key in [1, 2] {
        let error = limiter.for_key(&key).acquire_timeout(1, soon).await.unwrap_err();
        assert_eq!(error, WaitError::Timeout { retry_after: SECOND });
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!((used(&limiter, 1), used(&limiter, 2)), ((1, 1), (0, 1)));
    limiter.for_key(&2).acquire_timeout(1, SECOND).await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_missed_in_the_second_line_gives_the_first_one_back() {
    let limiter = limiter(1, 1);
    assert!(limiter.allow(&1));
    // Its own after 1 s; by then, another one has taken what everybody has until 2 s.
    let waiting = {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.for_key(&1).acquire_timeout(1, SECOND * 3 / 2).await })
    };
    tokio::task::yield_now().await;
    let other = limiter.for_key(&2).reserve(1).unwrap().delay().expect("it comes");
    assert_eq!(other, SECOND);
    let held = limiter.reserve(&3, 1).unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(WaitError::Timeout { .. })));
    assert_eq!(limiter.usage(&1).used, 0);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn jitter_holds_back_once_and_a_drop_then_gives_both_back() {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1)).clock(TokioClock::new());
    let builder = builder.global(Quota::per_second(1)).jitter(Jitter::up_to(1_000_000 * SECOND));
    let limiter = builder.build().unwrap();
    assert!(limiter.allow(&1));
    let mut waiting = Box::pin(limiter.acquire(&1, 1));
    assert!(poll_once(&mut waiting).await.is_pending());
    advance(SECOND).await;
    assert!(poll_once(&mut waiting).await.is_pending());
    assert!(poll_once(&mut waiting).await.is_pending(), "granted by both, but held back");
    assert!(!limiter.allow(&1));
    drop(waiting);
    assert!(limiter.allow(&1));
}

#[tokio::test(start_paused = true)]
async fn blocking_a_key_ends_its_waits_and_nobody_elses() {
    let limiter = limiter(1, 9);
    assert!(limiter.allow(&1) && limiter.allow(&2));
    let tasks = [1, 2].map(|key| {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.acquire(&key, 1).await.map(|grant| grant.permits) })
    });
    tokio::task::yield_now().await;
    limiter.set_terms_for(&1, Terms::blocked()).unwrap();
    let [blocked, other] = tasks;
    assert_eq!(blocked.await.unwrap(), Err(WaitError::Blocked));
    assert_eq!(other.await.unwrap(), Ok(1));
    limiter.clear_terms_for(&1);
    limiter.acquire(&1, 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_serves_its_waiters_from_a_full_bucket() {
    let limiter = limiter(1, 9);
    assert!(limiter.allow(&1));
    let start = Instant::now();
    let waiting = {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.acquire(&1, 1).await })
    };
    tokio::task::yield_now().await;
    limiter.sweep();
    assert_eq!(limiter.usage(&1).waiting, 1, "who has waiters is not swept");
    limiter.remove(&1);
    waiting.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(!limiter.allow(&1), "the full bucket is what the waiter had");
}
