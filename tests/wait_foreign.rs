//! Timers and wakers are foreign code: one that ends early or panics must harm nobody else.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tollgate::{
    Clock, Jitter, ManualClock, Quota, RateLimiter, Sleep, Timer, Timestamp, TokenBucket,
};

#[path = "support/recorder.rs"]
mod recorder;

/// A clock that keeps no wakers.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

/// A timer that ends at once, and counts how often it was asked.
#[derive(Default)]
struct Early(AtomicUsize);

impl Timer for Early {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(asked < 10_000, "one poll spins");
        Some(Box::pin(std::future::ready(())))
    }
}

/// Counts its calls; panics if told to.
#[derive(Default)]
struct Alarm {
    woken: AtomicUsize,
    panics: bool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "this waker panics");
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

fn emptied(clock: impl Clock) -> Arc<dyn RateLimiter> {
    let limiter = TokenBucket::builder(Quota::per_second(1)).clock(clock).build().unwrap();
    assert!(limiter.allow());
    Arc::new(limiter)
}

#[test]
fn a_timer_that_ends_early_makes_a_poll_yield() {
    let clock = Hand::default();
    let limiter = emptied(clock.clone());
    let (timer, alarm) = (Early::default(), Arc::new(Alarm::default()));
    let waker = Waker::from(Arc::clone(&alarm));
    let recorder = recorder::Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || {
        let mut waiting = limiter.acquire_on(1, &timer);
        for polls in 1..=10 {
            assert!(poll_once(&mut waiting, &waker).is_pending());
            assert_eq!(alarm.woken.load(Ordering::SeqCst), polls, "it comes back by itself");
        }
        assert!(timer.0.load(Ordering::SeqCst) <= 100);
        clock.0.store(1_000_000_000, Ordering::SeqCst);
        assert!(matches!(poll_once(&mut waiting, &waker), Poll::Ready(Ok(_))));
    });
    let told = recorder.events();
    let warnings = told.iter().filter(|(_, text)| text.contains("TokioClock")).count();
    assert_eq!(warnings, 1, "{told:?}");
}

#[test]
fn a_waker_that_panics_leaves_no_other_asleep() {
    for how in [RateLimiter::close, RateLimiter::reset] {
        let limiter = emptied(ManualClock::new());
        let bad = Arc::new(Alarm { panics: true, ..Alarm::default() });
        let good = [Arc::new(Alarm::default()), Arc::new(Alarm::default())];
        let never = Early::default();
        let mut waits: Vec<_> = (0..3).map(|_| limiter.acquire_on(1, &never)).collect();
        let wakers = [Arc::clone(&bad), Arc::clone(&good[0]), Arc::clone(&good[1])];
        for (wait, alarm) in waits.iter_mut().zip(wakers) {
            assert!(poll_once(wait, &Waker::from(alarm)).is_pending());
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| how(&*limiter)));
        assert!(outcome.is_err(), "the panic goes on");
        assert_eq!(bad.woken.load(Ordering::SeqCst), 1);
        assert!(good.iter().all(|alarm| alarm.woken.load(Ordering::SeqCst) == 1));
        drop(waits);
        assert_eq!(limiter.usage().waiting, 0);
    }
}

#[test]
fn a_waker_that_panics_leaves_no_sleeper_of_a_manual_clock_asleep() {
    let clock = ManualClock::new();
    let bad = Waker::from(Arc::new(Alarm { panics: true, ..Alarm::default() }));
    let good = Arc::new(Alarm::default());
    let due = Timestamp::from_nanos(5);
    assert!(clock.wake_at(due, &bad) && clock.wake_at(due, &Waker::from(Arc::clone(&good))));
    assert!(catch_unwind(AssertUnwindSafe(|| clock.set(due))).is_err());
    assert_eq!((good.woken.load(Ordering::SeqCst), clock.sleepers()), (1, 0));
}

#[test]
fn jitter_never_holds_a_grant_past_the_deadline() {
    let clock = Hand::default();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(1))
        .clock(clock.clone())
        .jitter(Jitter::up_to(Duration::from_secs(1_000_000_000)))
        .build()
        .unwrap();
    assert!(limiter.allow());
    let timer = Never;
    let mut waiting = limiter.acquire_timeout_on(1, Duration::from_millis(300), &timer);
    assert!(poll_once(&mut waiting, Waker::noop()).is_pending());
    clock.0.store(100_000_000, Ordering::SeqCst);
    assert!(poll_once(&mut waiting, Waker::noop()).is_pending(), "held back by the jitter");
    clock.0.store(300_000_000, Ordering::SeqCst);
    assert!(matches!(poll_once(&mut waiting, Waker::noop()), Poll::Ready(Ok(_))));
}

/// A timer that never rings.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}
