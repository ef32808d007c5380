//! Async waits on another runtime's timer, and on a clock that wakes by itself.
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::future;
use tollgate::{ManualClock, Quota, RateLimiter, Sleep, Timer, TokenBucket};

/// smol's and async-std's timer.
struct AsyncIo;

impl Timer for AsyncIo {
    fn sleep(&self, duration: Duration) -> Option<Sleep> {
        Some(Box::pin(async move {
            async_io::Timer::after(duration).await;
        }))
    }
}

/// A timer that must not be asked.
struct NoTimer;

impl Timer for NoTimer {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

#[test]
fn async_io_serves_at_the_rate() {
    let limiter = TokenBucket::new(Quota::per_second(1_000).burst(1)).unwrap();
    let start = limiter.now();
    future::block_on(async {
        for _ in 0..21 {
            limiter.acquire_on(1, &AsyncIo).await.unwrap();
        }
    });
    // Twenty intervals at least; how much more is the machine's business.
    assert!(limiter.now() - start >= Duration::from_millis(20));
    assert_eq!(limiter.usage().allowed, 21);
}

#[test]
fn an_owned_future_moves_to_another_thread() {
    let limiter = Arc::new(TokenBucket::new(Quota::per_second(1_000).burst(1)).unwrap());
    assert!(limiter.allow());
    let owned = Arc::clone(&limiter).acquire_owned_on(1, Arc::new(AsyncIo));
    let grant = std::thread::spawn(move || future::block_on(owned)).join().unwrap().unwrap();
    assert_eq!(grant.permits, 1);
}

#[test]
fn a_manual_clock_needs_no_timer() {
    struct Flag(std::sync::atomic::AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }

    let clock = ManualClock::new();
    let limiter = TokenBucket::builder(Quota::per_second(1)).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow());
    let woken = Arc::new(Flag(false.into()));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let mut waiting = pin!(limiter.acquire_on(1, &NoTimer));
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    clock.advance(Duration::from_nanos(999_999_999));
    assert!(!woken.0.load(std::sync::atomic::Ordering::SeqCst));
    clock.advance(Duration::from_nanos(1));
    assert!(woken.0.load(std::sync::atomic::Ordering::SeqCst));
    assert!(matches!(waiting.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
}

#[test]
fn a_reservation_waits_on_any_timer() {
    let limiter = TokenBucket::new(Quota::per_second(1_000).burst(1)).unwrap();
    assert!(limiter.allow());
    let reservation = limiter.reserve(1).unwrap();
    let grant = future::block_on(reservation.wait_on(&AsyncIo)).unwrap();
    assert_eq!(grant.permits, 1);
}
