//! One small test for each fault that the property tests have found in the core.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tollgate::{
    CarryOver, Composite, FixedWindowLimiter, IntervalTokenBucket, LeasedTokenBucket, ManualClock,
    Quota, RateLimiter, Rejection, Sleep, SlidingWindowLimiter, StrictLimiter, Timer, Timestamp,
    TokenBucket, WaitError,
};

const SECOND: Duration = Duration::from_secs(1);

/// A manual clock wakes by itself: no timer is needed.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

fn at(clock: &ManualClock, millis: u64) {
    clock.set(Timestamp::from_nanos(millis * 1_000_000));
}

fn bucket(quota: Quota, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::builder(quota).clock(clock.clone()).build().unwrap()
}

#[test]
fn a_served_reservation_has_no_delay_even_after_the_clock_stepped_back() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(1), &clock);
    assert!(limiter.allow());
    let reservation = limiter.reserve(1).unwrap();
    at(&clock, 1_000);
    assert_eq!(reservation.delay().expect("it comes"), Duration::ZERO);
    at(&clock, 400);
    assert_eq!(reservation.delay().expect("it comes"), Duration::ZERO);
}

#[test]
fn a_refusal_of_many_does_not_refuse_one_after_the_clock_stepped_back() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(10), &clock);
    at(&clock, 5_000);
    assert!(limiter.allow_n(9));
    assert!(!limiter.allow_n(5));
    at(&clock, 4_000);
    assert!(limiter.allow(), "one is left");
}

#[test]
fn a_refusal_behind_a_waiter_ends_with_the_waiters_deadline() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(1).burst(10), &clock);
    assert!(limiter.allow_n(10));
    let late = limiter.reserve_within(10, 10 * SECOND).unwrap();
    limiter.consume(5).unwrap(); // now it is due after 15 s, which is too late for it
    assert!(!limiter.allow());
    at(&clock, 12_000);
    assert!(limiter.allow(), "it has given up, and 7 permits are there");
    assert!(late.wait().is_err());
}

#[test]
fn whoever_moves_up_is_served_when_the_head_leaves_and_not_before() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(10);
    let limiter = StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow_n(5));
    let head = limiter.reserve(10).unwrap();
    let second = limiter.reserve(5).unwrap();
    at(&clock, 900);
    head.cancel();
    assert_eq!(second.delay().expect("it comes"), Duration::ZERO);
    at(&clock, 1_000);
    assert_eq!(limiter.usage().remaining, 5, "5 were admitted 100 ms ago");
}

#[test]
fn who_cannot_be_served_in_time_any_more_is_in_nobodys_way() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(10);
    let limiter = StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow_n(4));
    at(&clock, 100);
    let head = limiter.reserve_within(10, SECOND).unwrap(); // due at 1 s, gives up at 1.1 s
    let second = limiter.reserve(5).unwrap();
    limiter.consume(1).unwrap(); // now the head would be due at 1.1 s
    at(&clock, 200);
    assert_eq!(limiter.usage().waiting, 2);
    limiter.consume(1).unwrap(); // now at 1.2 s: too late, and known at once
    assert_eq!(limiter.usage().waiting, 1);
    assert_eq!(second.delay().expect("it comes"), Duration::from_millis(800));
    assert!(matches!(head.wait(), Err(WaitError::Timeout { .. })));
    at(&clock, 1_150);
    assert_eq!(second.delay().expect("it comes"), Duration::ZERO);
    at(&clock, 1_999);
    assert_eq!(limiter.usage().remaining, 5, "5 were admitted at 1 s");
}

#[test]
fn a_queue_of_more_than_64_bits_of_permits_is_timed_right() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(u64::MAX), &clock);
    assert!(limiter.allow_n(u64::MAX));
    let first = limiter.reserve(u64::MAX).unwrap();
    let second = limiter.reserve(u64::MAX).unwrap();
    assert_eq!(
        (first.delay().expect("it comes"), second.delay().expect("it comes")),
        (SECOND, 2 * SECOND)
    );
    assert_eq!(limiter.delay_for(u64::MAX), Ok(3 * SECOND));
}

#[test]
fn waits_for_the_whole_burst_are_quoted_with_what_they_waste() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per(3, Duration::from_nanos(10)).burst(1), &clock);
    assert!(limiter.allow());
    // A permit takes 3.3 ns, and the bucket holds just one: each wait ends at the 4th.
    let waits = [(); 4].map(|()| limiter.reserve(1).unwrap());
    let quoted = waits.each_ref().map(|wait| wait.delay().expect("it comes").as_nanos());
    assert_eq!(quoted, [4, 8, 12, 16]);
    assert_eq!(limiter.delay_for(1), Ok(Duration::from_nanos(20)));
}

#[test]
fn a_queue_that_was_served_at_once_leaves_no_booking_behind() {
    let clock = ManualClock::new();
    let limits = [("only", Quota::per_second(10))];
    let limiter = Composite::builder_of(limits).clock(clock).build().unwrap();
    assert_eq!(limiter.drain(), 10);
    let waiter = limiter.reserve(5).unwrap();
    limiter.reset();
    assert_eq!(waiter.delay().expect("it comes"), Duration::ZERO);
    assert_eq!(limiter.drain(), 5);
    let first = limiter.reserve(1).unwrap();
    let second = limiter.reserve(1).unwrap();
    assert_eq!(
        (first.delay().expect("it comes"), second.delay().expect("it comes")),
        (SECOND / 10, SECOND / 5)
    );
}

#[test]
fn nothing_is_free_at_the_end_of_time() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_day(1), &clock);
    clock.set(Timestamp::MAX);
    assert!(limiter.allow());
    assert!(!limiter.allow());
    assert!(matches!(limiter.try_acquire(1), Err(Rejection::Denied { .. })));
}

#[test]
fn the_same_quota_again_does_not_put_refills_off() {
    fn check(limiter: &dyn RateLimiter, clock: &ManualClock, quota: Quota) {
        for how in [CarryOver::Proportional, CarryOver::Keep, CarryOver::AddDifference] {
            limiter.reset();
            assert!(limiter.allow_n(10));
            clock.advance(SECOND / 2);
            let before = limiter.delay_for(10).unwrap();
            limiter.set_quota_with(quota, how).unwrap();
            assert_eq!(limiter.delay_for(10), Ok(before), "{how:?}");
        }
    }
    let quota = Quota::per_second(10);
    let clock = ManualClock::new();
    check(&bucket(quota, &clock), &clock, quota);
    let interval = IntervalTokenBucket::builder(quota).clock(clock.clone());
    check(&interval.build().unwrap(), &clock, quota);
    let fixed = FixedWindowLimiter::builder(quota).clock(clock.clone());
    check(&fixed.build().unwrap(), &clock, quota);
    let sliding = SlidingWindowLimiter::builder(quota).clock(clock.clone());
    check(&sliding.build().unwrap(), &clock, quota);
    let strict = StrictLimiter::builder(quota).clock(clock.clone());
    check(&strict.build().unwrap(), &clock, quota);
}

fn leased(batch: u32, clock: &ManualClock) -> LeasedTokenBucket<ManualClock> {
    let quota = Quota::per_second(1).burst(16 * u64::from(batch) + 100);
    TokenBucket::builder(quota).clock(clock.clone()).build_leased(batch).unwrap()
}

#[test]
fn a_lease_can_be_drawn_once_a_reservation_is_cancelled() {
    let clock = ManualClock::new();
    let limiter = leased(1, &clock);
    let all = limiter.reserve(100).unwrap();
    let more = limiter.reserve(50).unwrap();
    assert!(!limiter.allow(), "others wait");
    more.cancel();
    all.cancel();
    assert!(limiter.allow(), "100 permits are there");
}

#[test]
fn a_refusal_of_many_does_not_refuse_few_from_a_lease() {
    let clock = ManualClock::new();
    let limiter = leased(8, &clock);
    assert_eq!(limiter.drain(), 100);
    assert!(!limiter.allow_n(8));
    clock.advance(SECOND);
    assert!(limiter.allow(), "one permit has come");
}

/// Counts how often it is called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Calls {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F, calls: &Arc<Calls>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(calls));
    pin!(future).poll(&mut Context::from_waker(&waker))
}

#[test]
fn one_task_with_two_waits_is_woken_for_both() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(1), &clock);
    assert!(limiter.allow());
    let calls = Arc::new(Calls::default());
    let (mut first, mut second) = (limiter.acquire_on(1, &Never), limiter.acquire_on(1, &Never));
    assert!(poll_once(&mut first, &calls).is_pending());
    assert!(poll_once(&mut second, &calls).is_pending());
    clock.advance(SECOND);
    assert_eq!(calls.take(), 1);
    assert!(poll_once(&mut first, &calls).is_ready());
    // The second one was not polled again, and still is to be woken.
    clock.advance(SECOND);
    assert_eq!(calls.take(), 1);
    assert!(poll_once(&mut second, &calls).is_ready());
}

#[test]
fn those_behind_who_gave_up_are_not_late() {
    let clock = ManualClock::new();
    let limiter = bucket(Quota::per_second(1), &clock);
    assert!(limiter.allow());
    let giving_up = [(); 10].map(|()| limiter.reserve_within(1, 10 * SECOND).unwrap());
    let asleep = limiter.reserve(1).unwrap();
    let calls = Arc::new(Calls::default());
    let mut last = limiter.acquire_on(1, &Never);
    assert!(poll_once(&mut last, &calls).is_pending());
    limiter.consume(12).unwrap(); // the ten are due after their deadline now
    clock.advance(11 * SECOND);
    for one in giving_up {
        assert!(one.wait().is_err());
    }
    // Without the ten it is due at 14 s, and nobody but itself looks then.
    assert!(poll_once(&mut last, &calls).is_pending());
    calls.take();
    clock.advance(3 * SECOND);
    assert!(calls.take() > 0, "nobody woke it");
    assert!(poll_once(&mut last, &calls).is_ready());
    drop(asleep);
}

#[test]
fn unlimited_admits_at_an_older_reading_of_the_clock_too() {
    let clock = ManualClock::new();
    let builder = TokenBucket::builder(Quota::unlimited()).clock(clock.clone());
    let limiter = builder.build_atomic().unwrap();
    at(&clock, 2);
    assert!(limiter.allow());
    at(&clock, 1);
    assert!(limiter.allow());
    assert_eq!(limiter.try_acquire(1).map(|grant| grant.reset_after), Ok(Duration::ZERO));
    assert!(limiter.wait_timeout(1, Duration::ZERO).is_ok());
    assert_eq!(limiter.usage().reset_after, Duration::ZERO);
}

#[test]
fn a_state_of_fewer_limits_admits_nothing_and_does_not_panic() {
    let one = [("a", Quota::per_second(1))];
    let two = [("a", Quota::per_second(1)), ("b", Quota::per_second(1))];
    let (_, state, _) = Composite::of(one).unwrap().snapshot();
    let limiter = Composite::builder_of(two).state(state).build().unwrap();
    assert!(!limiter.allow());
    assert!(limiter.try_acquire(1).is_err());
    assert_eq!(limiter.usage().limit, 1);
    assert!(limiter.wait().is_err());
    limiter.reset();
    assert!(limiter.allow());
}

#[test]
fn an_idle_lease_comes_back_to_one_who_asks_the_bucket_itself() {
    let clock = ManualClock::new();
    let builder = TokenBucket::builder(Quota::per_hour(68)).clock(clock.clone());
    let limiter = builder.build_leased(4).unwrap(); // 64 are held back: four are to be had
    assert!(limiter.allow(), "draws one");
    assert!(limiter.allow(), "leases two, and uses one");
    thread::scope(|scope| {
        let other = scope.spawn(|| limiter.try_acquire(2));
        assert!(other.join().unwrap().is_ok(), "calls the lease back, whether it is idle or not");
    });
    assert!(!limiter.allow(), "and the owner knows");
}

#[test]
fn a_consume_that_moves_only_some_due_times_to_another_nanosecond_moves_those() {
    // Three permits a nanosecond, so due times are fractions of a nanosecond, rounded up when told.
    let quota = Quota::per(3, Duration::from_nanos(1)).burst(3);
    let limiter = TokenBucket::builder(quota).clock(ManualClock::new()).build().unwrap();
    limiter.consume(3).unwrap();
    let (first, second) = (limiter.reserve(1).unwrap(), limiter.reserve(2).unwrap());
    let delays = || {
        (first.delay().expect("it comes").as_nanos(), second.delay().expect("it comes").as_nanos())
    };
    assert_eq!(delays(), (1, 1), "a third of a nanosecond, and a whole one");
    limiter.consume(1).unwrap();
    assert_eq!(delays(), (1, 2), "two thirds, and one and a third");
}
