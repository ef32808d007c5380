//! Foreign code that a limiter runs (wakers, called or dropped) may call back into it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tollgate::{Clock, Quota, RateLimiter, Sleep, Timer, Timestamp, TokenBucket};

/// A timer that never rings.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

/// A clock that keeps no wakers.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// Does something when its last waker is dropped.
struct OnDrop<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnDrop<F> {
    fn wake(self: Arc<Self>) {}
}

impl<F: Fn() + Send + Sync> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// An emptied bucket of one permit a second, and a waker that looks at it when it is dropped.
fn scene() -> (Hand, Arc<dyn RateLimiter>, Waker) {
    let clock = Hand::default();
    let limiter = TokenBucket::builder(Quota::per_second(1)).clock(clock.clone()).build();
    let limiter: Arc<dyn RateLimiter> = Arc::new(limiter.unwrap());
    assert!(limiter.allow());
    let again = Arc::clone(&limiter);
    let waker = Waker::from(Arc::new(OnDrop(move || assert!(again.usage().limit == 1))));
    (clock, limiter, waker)
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Runs `act`, and fails if it hangs.
fn without_deadlock(act: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        act();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("neither hangs nor panics");
}

#[test]
fn a_waker_dropped_by_a_grant_may_call_the_limiter() {
    without_deadlock(|| {
        let (clock, limiter, waker) = scene();
        let mut waiting = limiter.acquire_on(1, &Never);
        assert!(poll_once(&mut waiting, &waker).is_pending());
        drop(waker);
        clock.0.store(1_000_000_000, Ordering::SeqCst);
        assert_eq!(limiter.usage().waiting, 0);
    });
}

#[test]
fn a_waker_dropped_for_another_may_call_the_limiter() {
    without_deadlock(|| {
        let (_clock, limiter, waker) = scene();
        let mut waiting = limiter.acquire_on(1, &Never);
        assert!(poll_once(&mut waiting, &waker).is_pending());
        drop(waker);
        assert!(poll_once(&mut waiting, Waker::noop()).is_pending());
    });
}

#[test]
fn a_waker_dropped_with_its_place_may_call_the_limiter() {
    without_deadlock(|| {
        let (_clock, limiter, waker) = scene();
        let mut waiting = limiter.acquire_on(1, &Never);
        assert!(poll_once(&mut waiting, &waker).is_pending());
        drop(waker);
        drop(waiting);
        assert_eq!(limiter.usage().waiting, 0);
    });
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A task that only its wakers keep alive, as in the simplest of executors.
struct Task(Mutex<Option<Boxed>>);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.0.lock().unwrap();
        if let Some(future) = &mut *slot {
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *slot = None;
            }
        }
    }
}

#[test]
fn a_task_that_dies_with_its_last_waker_gives_its_grants_back() {
    without_deadlock(|| {
        let (clock, limiter, waker) = scene();
        drop(waker);
        let theirs = Arc::new(Arc::clone(&limiter));
        Arc::new(Task(Mutex::new(Some(Box::pin(async move {
            let _ = theirs.acquire_owned_on(1, Arc::new(Never)).await;
        })))))
        .wake();
        assert_eq!(limiter.usage().waiting, 1);
        clock.0.store(1_000_000_000, Ordering::SeqCst);
        assert_eq!(limiter.usage().waiting, 0);
        assert!(limiter.allow(), "nobody fetched it");
    });
}

/// Does something when it is called.
struct OnWake<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Asks its limiter whenever it hears an event, as a rate-limited log does.
struct Asking(Arc<dyn RateLimiter>, AtomicU64);

impl tracing::Subscriber for Asking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        let _ = self.0.allow();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn whoever_is_woken_by_a_leased_bucket_may_draw_from_it() {
    for change in [RateLimiter::reset, RateLimiter::close, |limiter: &dyn RateLimiter| {
        limiter.set_quota(Quota::per_second(1000).burst(20)).unwrap();
    }] {
        without_deadlock(move || {
            let limiter = TokenBucket::builder(Quota::per_second(1).burst(20)).build_leased(1);
            let limiter: Arc<dyn RateLimiter> = Arc::new(limiter.unwrap());
            limiter.drain();
            let again = Arc::clone(&limiter);
            let waker = Waker::from(Arc::new(OnWake(move || {
                let _ = again.allow();
            })));
            let mut waiting = limiter.acquire_on(1, &Never);
            assert!(poll_once(&mut waiting, &waker).is_pending());
            change(&*limiter);
        });
    }
}

#[test]
fn a_subscriber_may_draw_from_the_leased_bucket_it_hears() {
    without_deadlock(|| {
        // While another test first comes by the place of an event, a subscriber may miss that
        // event: then once more.
        let heard = (0..100).any(|_| {
            let limiter = TokenBucket::builder(Quota::per_hour(17)).build_leased(1);
            let limiter: Arc<dyn RateLimiter> = Arc::new(limiter.unwrap());
            let asking = Arc::new(Asking(Arc::clone(&limiter), AtomicU64::new(0)));
            tracing::subscriber::with_default(Arc::clone(&asking), || {
                assert!(limiter.allow());
                assert!(!limiter.allow());
                limiter.reset();
                limiter.close();
            });
            asking.1.load(Ordering::SeqCst) >= 3
        });
        assert!(heard);
    });
}
