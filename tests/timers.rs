//! Timers that end early, runtimes that are gone, wakers that panic, and tasks beside one that
//! waits.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tollgate::{Clock, Quota, RateLimiter, Sleep, Timer, Timestamp, TokenBucket, WaitError};

/// A clock that stands still and wakes nobody, as the kernel's does for a timer under paused time.
#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1)
    }
}

/// A timer that ends at once, and counts how often it was asked.
#[derive(Default)]
struct Early(AtomicUsize);

impl Timer for Early {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Some(Box::pin(std::future::ready(())))
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that panics.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of a test");
    }
}

fn empty<C: Clock>(clock: C) -> TokenBucket<C> {
    TokenBucket::builder(Quota::per_hour(1)).clock(clock).initial(0).build().unwrap()
}

#[test]
fn a_timer_that_ends_early_does_not_keep_the_thread() {
    let (limiter, timer, count) = (empty(Still), Early::default(), Arc::new(Count::default()));
    let waker = Waker::from(Arc::clone(&count));
    let mut wait = pin!(limiter.acquire_on(1, &timer));
    for polls in 1..=20 {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(timer.0.load(Ordering::SeqCst) <= 8 * polls, "one poll must not go on for long");
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            polls,
            "the task looks again after others have run"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn other_tasks_run_beside_one_that_waits_on_a_clock_that_stands_still() {
    let limiter = empty(Still);
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let other = tokio::spawn(async move {
        for _ in 0..100 {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    tokio::select! {
        _ = limiter.acquire(1) => panic!("the clock stands still"),
        done = other => done.unwrap(),
    }
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

#[tokio::test(flavor = "current_thread")]
async fn a_task_that_never_has_to_wait_lets_others_run() {
    let limiter = Arc::new(TokenBucket::new(Quota::unlimited()).unwrap());
    let ran = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ran);
    let other = tokio::spawn(async move {
        loop {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..100_000 {
        limiter.acquire(1).await.unwrap();
    }
    assert!(ran.load(Ordering::SeqCst) > 100, "acquire takes part in the cooperative budget");
    assert_eq!(limiter.usage().allowed, 100_000, "no permit is lost on the way");
    other.abort();
}

#[test]
fn a_wait_whose_runtime_was_shut_down_has_no_timer() {
    let limiter = TokenBucket::builder(Quota::per_hour(1)).initial(0).build().unwrap();
    let mut wait = pin!(limiter.acquire(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    {
        let _inside = runtime.enter();
        assert!(wait.as_mut().poll(&mut cx).is_pending());
    }
    runtime.shutdown_background();
    assert_eq!(wait.as_mut().poll(&mut cx), Poll::Ready(Err(WaitError::NoTimer)));
    assert_eq!(limiter.usage().waiting, 0, "and its place is free");
}

#[test]
fn a_wait_goes_on_in_another_runtime() {
    let limiter = TokenBucket::builder(Quota::per_second(1_000)).initial(0).build().unwrap();
    let mut wait = Box::pin(limiter.acquire(1));
    let first = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    {
        let _inside = first.enter();
        let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(first);
    let second = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert!(second.block_on(wait).is_ok());
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_from_being_woken() {
    struct Never;
    impl Timer for Never {
        fn sleep(&self, _: Duration) -> Option<Sleep> {
            Some(Box::pin(std::future::pending()))
        }
    }
    for panicking in 0..3 {
        let limiter = empty(Still);
        let counts = [(); 3].map(|()| Arc::new(Count::default()));
        let mut waits: Vec<Pin<Box<_>>> =
            (0..3).map(|_| Box::pin(limiter.acquire_on(1, &Never))).collect();
        for (at, wait) in waits.iter_mut().enumerate() {
            let waker = if at == panicking {
                Waker::from(Arc::new(Panics))
            } else {
                Waker::from(Arc::clone(&counts[at]))
            };
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let closing = catch_unwind(AssertUnwindSafe(|| limiter.close()));
        assert!(closing.is_err(), "the panic is not hidden");
        for (at, count) in counts.iter().enumerate() {
            let woken = count.0.load(Ordering::SeqCst);
            assert_eq!(woken, usize::from(at != panicking), "waiter {at}");
        }
        for wait in &mut waits {
            let outcome = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(outcome, Poll::Ready(Err(WaitError::Closed)));
        }
    }
}
