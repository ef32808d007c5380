//! Limiters of a user's own: a fake, and a wrapper that reprices and counts, by every method and
//! through every pointer.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::wait::{Enqueued, Request};
use tollgate::{
    CancelToken, CarryOver, Grant, ManualClock, Quota, QuotaError, RateLimiter, Rejection, Sleep,
    Timer, Timestamp, TokenBucket, WaitError,
};

/// A manual clock wakes by itself: no timer is needed.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

/// Everything costs five times as much, and is counted.
struct Priced {
    limiter: TokenBucket<ManualClock>,
    asked: AtomicU64,
}

impl RateLimiter for Priced {
    fn inner(&self) -> Option<&dyn RateLimiter> {
        Some(&self.limiter)
    }
    fn price(&self, permits: u64) -> u64 {
        permits.saturating_mul(5)
    }
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        self.asked.fetch_add(permits, Ordering::Relaxed);
        self.limiter.try_acquire(self.price(permits))
    }
    fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
        self.asked.fetch_add(request.permits(), Ordering::Relaxed);
        let permits = self.price(request.permits());
        self.limiter.enqueue(request.with_permits(permits))
    }
}

fn priced(clock: &ManualClock) -> Priced {
    let quota = Quota::per_second(5).burst(1_000);
    let limiter = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
    Priced { limiter, asked: AtomicU64::new(0) }
}

/// Uses every method that takes permits once, one permit each; says how many that were.
fn take_by_every_method(limiter: &(impl RateLimiter + ?Sized)) -> u64 {
    let second = Duration::from_secs(1);
    let later = limiter.now() + second;
    let mut taken = 0;
    let mut took = |ok: bool| {
        assert!(ok, "after {taken}");
        taken += 1;
    };
    took(limiter.allow());
    took(limiter.allow_n(1));
    took(limiter.try_acquire(1).is_ok());
    took(limiter.try_acquire_up_to(1) == 1);
    took(limiter.wait().is_ok());
    took(limiter.wait_n(1).is_ok());
    took(limiter.wait_timeout(1, second).is_ok());
    took(limiter.wait_deadline(1, later).is_ok());
    took(limiter.wait_cancellable(1, &CancelToken::new()).is_ok());
    took(limiter.wait_cancellable_timeout(1, second, &CancelToken::new()).is_ok());
    took(limiter.reserve(1).is_ok());
    took(limiter.reserve_within(1, second).is_ok());
    took(now(limiter.acquire_on(1, &Never)).is_ok());
    took(now(limiter.acquire_timeout_on(1, second, &Never)).is_ok());
    #[cfg(feature = "tokio")]
    {
        took(now(limiter.acquire(1)).is_ok());
        took(now(limiter.acquire_timeout(1, second)).is_ok());
    }
    took(limiter.consume(1).is_ok());
    taken
}

/// The answer of a future that need not wait.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_wrapper_reprices_and_counts_by_every_method_through_every_pointer() {
    let clock = ManualClock::new();
    let shared = Arc::new(priced(&clock));
    let object: Arc<dyn RateLimiter> = shared.clone();
    let boxed: Box<dyn RateLimiter> = Box::new(Arc::clone(&shared));
    let wrapped_twice: &dyn RateLimiter = &&*shared;
    let ways: [&dyn Fn() -> u64; 6] = [
        &|| take_by_every_method(&*shared),
        &|| take_by_every_method(&shared),
        &|| take_by_every_method(&object),
        &|| take_by_every_method(&*object),
        &|| take_by_every_method(&boxed),
        &|| take_by_every_method(wrapped_twice),
    ];
    for (way, take) in ways.into_iter().enumerate() {
        shared.limiter.reset();
        shared.asked.store(0, Ordering::Relaxed);
        let taken = take();
        assert_eq!(shared.limiter.usage().used, taken * 5, "way {way}");
        // All but `consume`, which asks for nothing.
        assert_eq!(shared.asked.load(Ordering::Relaxed), taken - 1, "way {way}");
    }
}

#[test]
fn a_wrapper_hands_on_what_it_does_not_write() {
    let clock = ManualClock::new();
    let limiter: Arc<dyn RateLimiter> = Arc::new(priced(&clock));
    assert!(limiter.allow_n(200));
    assert_eq!(limiter.delay_for(2), Ok(Duration::from_secs(2)));
    limiter.credit(3);
    assert_eq!(limiter.usage().remaining, 15);
    assert_eq!(limiter.try_acquire_up_to(9), 3, "what is left, in permits of the wrapper");
    limiter.set_quota_with(Quota::per_second(10), CarryOver::Full).unwrap();
    assert_eq!(limiter.quota(), Quota::per_second(10));
    clock.advance(Duration::from_secs(3));
    assert_eq!(limiter.now(), Timestamp::ZERO + Duration::from_secs(3));
    assert!(limiter.drain() <= 2);
    limiter.reset();
    assert_eq!(limiter.usage().used, 0);
    limiter.close();
    assert!(limiter.is_closed());
    assert_eq!(limiter.wait(), Err(WaitError::Closed));
}

#[test]
fn waiters_of_a_wrapper_stand_in_the_inner_queue() {
    let clock = ManualClock::new();
    let limiter = priced(&clock);
    limiter.limiter.drain();
    let first = limiter.reserve(1).unwrap();
    let mut second = pin!(limiter.acquire_on(1, &Never));
    let mut context = Context::from_waker(Waker::noop());
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_eq!(limiter.limiter.usage().waiting, 2);
    assert_eq!(first.delay(), Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(1));
    assert!(second.as_mut().poll(&mut context).is_pending(), "it is not its turn");
    clock.advance(Duration::from_secs(1));
    assert!(second.as_mut().poll(&mut context).is_ready());
}

/// Lets a request pass after so many refusals.
struct Fake {
    refusals: AtomicU64,
    retry_after: Duration,
    clock: ManualClock,
}

impl RateLimiter for Fake {
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        let left = self.refusals.load(Ordering::Relaxed);
        self.refusals.store(left.saturating_sub(1), Ordering::Relaxed);
        if left == 0 { Ok(Grant::new(permits)) } else { Err(Rejection::denied(self.retry_after)) }
    }
    fn now(&self) -> Timestamp {
        tollgate::Clock::now(&self.clock)
    }
}

fn fake(refusals: u64) -> Fake {
    let (refusals, retry_after) = (AtomicU64::new(refusals), Duration::from_secs(30));
    Fake { refusals, retry_after, clock: ManualClock::new() }
}

#[test]
fn a_fake_answers_every_method() {
    let limiter: Box<dyn RateLimiter> = Box::new(fake(0));
    assert!(take_by_every_method(&limiter) > 10);
    assert_eq!(limiter.usage().remaining, u64::MAX);
    assert_eq!(limiter.set_quota(Quota::per_second(1)), Err(QuotaError::Unsupported));
    assert!(!limiter.is_closed());
    let refusing = fake(u64::MAX);
    assert!(!refusing.allow());
    assert_eq!(refusing.try_acquire_up_to(8), 0);
    let thirty = Err(WaitError::Timeout { retry_after: Duration::from_secs(30) });
    assert_eq!(refusing.wait_timeout(1, Duration::from_secs(29)), thirty);
}

/// Sleeps by moving the clock, and counts how often.
struct Skip<'a>(&'a ManualClock, &'a AtomicU64);
impl Timer for Skip<'_> {
    fn sleep(&self, duration: Duration) -> Option<Sleep> {
        self.0.advance(duration);
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(Box::pin(std::future::ready(())))
    }
}

#[test]
fn a_waiter_asks_a_fake_again_when_it_said_so() {
    let limiter = fake(1);
    let sleeps = AtomicU64::new(0);
    let timer = Skip(&limiter.clock, &sleeps);
    assert!(now(limiter.acquire_on(1, &timer)).is_ok());
    assert_eq!(limiter.now(), Timestamp::ZERO + Duration::from_secs(30));
    assert_eq!(sleeps.load(Ordering::Relaxed), 1);
}

#[test]
fn a_reservation_of_a_fake_waits_as_long_as_the_fake_said() {
    let limiter = fake(1);
    let reservation = limiter.reserve(1).unwrap();
    assert_eq!(reservation.delay(), Some(Duration::from_secs(30)));
    limiter.clock.advance(Duration::from_secs(30));
    assert_eq!(reservation.delay(), Some(Duration::ZERO));
    assert!(reservation.wait().is_ok());
}
