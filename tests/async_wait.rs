//! Async waits under tokio's paused time: exact, fair, two polls each, and safe to drop anywhere.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, advance};
use tollgate::{
    AtomicTokenBucket, CancelToken, CarryOver, Jitter, Quota, RateLimiter, TokenBucket, TokioClock,
    WaitError,
};

const SECOND: Duration = Duration::from_secs(1);

fn bucket(quota: Quota) -> TokenBucket<TokioClock> {
    TokenBucket::builder(quota).clock(TokioClock::new()).build().unwrap()
}

/// Polls a future once, without a runtime's help.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

#[tokio::test(start_paused = true)]
async fn each_is_served_exactly_when_due_and_in_order() {
    let limiter = Arc::new(bucket(Quota::per_second(10).burst(1)));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let acquire = Arc::clone(&limiter).acquire_owned(1);
        tasks.push(tokio::spawn(async move {
            acquire.await.unwrap();
            start.elapsed()
        }));
        tokio::task::yield_now().await;
    }
    for (i, task) in (0_u32..).zip(tasks) {
        assert_eq!(task.await.unwrap(), Duration::from_millis(100) * i);
    }
    assert_eq!(limiter.usage().allowed, 50);
}

#[tokio::test(start_paused = true)]
async fn two_polls_a_waiter() {
    struct Counting<'a, F>(F, &'a AtomicUsize);
    impl<F: Future + Unpin> Future for Counting<'_, F> {
        type Output = F::Output;
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Pin::new(&mut self.0).poll(cx)
        }
    }

    let polls: &'static AtomicUsize = Box::leak(Box::default());
    let limiter = Arc::new(bucket(Quota::per_second(5_000).burst(1)));
    let tasks: Vec<_> = (0..1_000)
        .map(|_| tokio::spawn(Counting(Arc::clone(&limiter).acquire_owned(1), polls)))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    // The first one's permit was there.
    assert_eq!(polls.load(Ordering::Relaxed), 2 * 1_000 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_wastes_nothing_and_admits_nobody_early() {
    let limiter = Arc::new(bucket(Quota::per_second(1).burst(1)));
    assert!(limiter.allow());
    let start = Instant::now();
    let waiters: Vec<_> = (0..6)
        .map(|_| {
            let limiter = Arc::clone(&limiter);
            tokio::spawn(async move {
                limiter.acquire(1).await.unwrap();
                start.elapsed()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    advance(SECOND / 2).await;
    for gone in [0, 2, 3] {
        waiters[gone].abort();
    }
    let mut served = Vec::new();
    for waiter in waiters {
        if let Ok(at) = waiter.await {
            served.push(at);
        }
    }
    assert_eq!(served, [SECOND, 2 * SECOND, 3 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_not_fetched_is_given_back() {
    let limiter = bucket(Quota::per_second(1).burst(1));
    assert!(limiter.allow());
    let mut waiting = Box::pin(limiter.acquire(1));
    assert!(poll_once(&mut waiting).await.is_pending());
    advance(SECOND).await;
    // Somebody else's look grants it; then it is dropped before it knows.
    assert_eq!(limiter.usage().waiting, 0);
    assert!(!limiter.allow());
    drop(waiting);
    assert!(limiter.allow());
    assert_eq!(limiter.usage().allowed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_held_or_leaked_stalls_nobody() {
    let limiter = bucket(Quota::per_second(1).burst(1));
    assert!(limiter.allow());
    let start = Instant::now();
    let mut held = Box::pin(limiter.acquire(1));
    let mut leaked = Box::pin(limiter.acquire(1));
    assert!(poll_once(&mut held).await.is_pending());
    assert!(poll_once(&mut leaked).await.is_pending());
    std::mem::forget(leaked);
    // Both have their turn at one and two seconds, whether they look or not.
    limiter.acquire(1).await.unwrap();
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert!(poll_once(&mut held).await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn those_behind_departed_and_unpolled_ones_are_not_late() {
    let limiter = bucket(Quota::per_second(1).burst(1));
    assert!(limiter.allow());
    let start = Instant::now();
    let mut held = Box::pin(limiter.acquire(1));
    assert!(poll_once(&mut held).await.is_pending());
    let mut leaving: Vec<_> = (0..100).map(|_| Box::pin(limiter.acquire(1))).collect();
    for future in &mut leaving {
        assert!(poll_once(future).await.is_pending());
    }
    let mut last = pin!(limiter.acquire(1));
    assert!(poll_once(&mut last).await.is_pending());
    drop(leaving);
    // Told 102 s at first; the one before it is never polled again.
    last.await.unwrap();
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_cannot_be_met_fails_at_once() {
    let limiter = bucket(Quota::per_second(1).burst(1));
    assert!(limiter.allow());
    let start = Instant::now();
    let error = limiter.acquire_timeout(1, Duration::from_nanos(999_999_999)).await.unwrap_err();
    assert_eq!(error, WaitError::Timeout { retry_after: SECOND });
    assert_eq!(start.elapsed(), Duration::ZERO);
    limiter.acquire_timeout(1, SECOND).await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_a_new_quota_puts_out_of_reach_is_given_up() {
    let limiter = Arc::new(bucket(Quota::per_second(1).burst(1)));
    assert!(limiter.allow());
    let start = Instant::now();
    let waiting = {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { limiter.acquire_timeout(1, 2 * SECOND).await })
    };
    tokio::task::yield_now().await;
    limiter.set_quota(Quota::per_minute(1)).unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(WaitError::Timeout { .. })));
    assert!(start.elapsed() <= 2 * SECOND);
    assert_eq!(limiter.usage().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_faster_quota_wakes_those_who_wait() {
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::AddDifference] {
        let limiter = Arc::new(bucket(Quota::per_hour(1)));
        assert!(limiter.allow());
        let start = Instant::now();
        let waiting: Vec<_> =
            (0..3).map(|_| tokio::spawn(Arc::clone(&limiter).acquire_owned(1))).collect();
        tokio::task::yield_now().await;
        limiter.set_quota_with(Quota::per_second(1), how).unwrap();
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
        assert_eq!(start.elapsed(), 3 * SECOND, "{how:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_atomic_bucket_waits_alike() {
    let builder = TokenBucket::builder(Quota::per_second(10).burst(1)).clock(TokioClock::new());
    let limiter = Arc::new(builder.build_atomic().unwrap());
    let start = Instant::now();
    for i in 0..5_u32 {
        limiter.acquire(1).await.unwrap();
        assert_eq!(start.elapsed(), i * Duration::from_millis(100));
    }
    let waiting = tokio::spawn(Arc::clone(&limiter).acquire_owned(1));
    tokio::task::yield_now().await;
    limiter.close();
    assert_eq!(waiting.await.unwrap(), Err(WaitError::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_large_request_is_not_starved_by_small_ones() {
    let limiter = Arc::new(bucket(Quota::per_second(10)));
    assert!(limiter.allow_n(10));
    let start = Instant::now();
    let large = tokio::spawn(Arc::clone(&limiter).acquire_owned(10));
    tokio::task::yield_now().await;
    let small: Vec<_> =
        (0..20).map(|_| tokio::spawn(Arc::clone(&limiter).acquire_owned(1))).collect();
    large.await.unwrap().unwrap();
    assert_eq!(start.elapsed(), SECOND);
    for waiter in small {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn jitter_delays_the_waiter_and_not_the_permit() {
    let limiter = TokenBucket::builder(Quota::per_second(1).burst(1))
        .clock(TokioClock::new())
        .jitter(Jitter::up_to(SECOND / 2))
        .build()
        .unwrap();
    let start = Instant::now();
    limiter.acquire(1).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO, "who need not wait is not delayed");
    limiter.acquire(1).await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= SECOND && waited < SECOND + SECOND / 2 + Duration::from_millis(1));
    limiter.acquire(1).await.unwrap();
    assert!(start.elapsed() >= 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_dropped_while_held_back_by_jitter_gives_its_permit_back() {
    let limiter = TokenBucket::builder(Quota::per_second(1).burst(1))
        .clock(TokioClock::new())
        .jitter(Jitter::up_to(1_000_000 * SECOND))
        .build()
        .unwrap();
    assert!(limiter.allow());
    let mut waiting = Box::pin(limiter.acquire(1));
    assert!(poll_once(&mut waiting).await.is_pending());
    advance(SECOND).await;
    assert!(poll_once(&mut waiting).await.is_pending(), "granted, but held back");
    assert!(!limiter.allow());
    drop(waiting);
    assert!(limiter.allow());
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let limiter = AtomicTokenBucket::new(Quota::per_hour(1)).unwrap();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Pin::new(&mut limiter.acquire(1)).poll(&mut cx).is_ready());
    let answer = Pin::new(&mut limiter.acquire(1)).poll(&mut cx);
    assert_eq!(answer, Poll::Ready(Err(WaitError::NoTimer)));
    assert_eq!(limiter.usage().waiting, 0);
}

#[test]
fn a_runtime_without_a_timer_is_an_error_too() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let limiter = TokenBucket::new(Quota::per_hour(1)).unwrap();
    runtime.block_on(async {
        limiter.acquire(1).await.unwrap();
        assert_eq!(limiter.acquire(1).await, Err(WaitError::NoTimer));
    });
}

/// A task that races the token against its wait stops when the token is cancelled, and gives up its
/// place.
#[tokio::test(start_paused = true)]
async fn a_cancelled_token_ends_a_task_that_listens_to_it() {
    let limiter =
        TokenBucket::builder(Quota::per_hour(1)).clock(TokioClock::new()).build().unwrap();
    limiter.drain();
    let shutdown = CancelToken::new();
    let wait = async {
        tokio::select! {
            () = shutdown.cancelled() => false,
            granted = limiter.acquire(1) => granted.is_ok(),
        }
    };
    let cancel = async {
        tokio::task::yield_now().await;
        assert_eq!(limiter.usage().waiting, 1);
        shutdown.cancel();
    };
    let (granted, ()) = tokio::join!(wait, cancel);
    assert!(!granted);
    assert_eq!(limiter.usage().waiting, 0);
    // Who listens afterwards is told at once.
    shutdown.cancelled().await;
}
