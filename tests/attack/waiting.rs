//! Lines of waiters: who gives up, who is held up, and how often anybody is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tollgate::{
    Grant, Jitter, ManualClock, Quota, RateLimiter, Sleep, StrictLimiter, Timer, TokenBucket,
    WaitError,
};

use super::{clock, seconds};

/// A manual clock wakes by itself: no timer is needed.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        None
    }
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn bucket(quota: Quota, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::builder(quota).clock(clock.clone()).build().unwrap()
}

type Wait<'a> = Pin<Box<dyn Future<Output = Result<Grant, WaitError>> + 'a>>;

fn granted(future: &mut Wait<'_>, calls: &Arc<Calls>) -> bool {
    let waker = Waker::from(Arc::clone(calls));
    future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
}

/// As many waits of one permit, each polled once.
fn line<'a>(limiter: &'a dyn RateLimiter, length: usize, calls: &Arc<Calls>) -> Vec<Wait<'a>> {
    let mut line: Vec<Wait<'a>> = Vec::new();
    for _ in 0..length {
        line.push(Box::pin(limiter.acquire_on(1, &Never)));
    }
    for future in &mut line {
        assert!(!granted(future, calls), "nothing is left");
    }
    line
}

#[test]
fn after_a_stall_waiters_get_no_more_than_ten_milliseconds_of_the_rate_at_one_instant() {
    for (rate, most) in [(100, 1), (1_000, 10)] {
        let clock = clock();
        let limiter = bucket(Quota::per_second(rate).burst(1), &clock);
        assert!(limiter.allow());
        let calls = Arc::new(Calls::default());
        let mut line = line(&limiter, 1_000, &calls);
        clock.advance(seconds(10));
        let at_once =
            line.iter_mut().filter_map(|wait| granted(wait, &calls).then_some(())).count();
        assert!(at_once >= 1 && at_once <= most, "{at_once} acted at one instant at {rate}/s");
    }
}

#[test]
fn dropping_waits_that_were_granted_wakes_each_waiter_a_few_times_at_most() {
    let clock = clock();
    let limiter = bucket(Quota::per_second(1_000).burst(1), &clock);
    assert!(limiter.allow());
    let calls = Arc::new(Calls::default());
    let line = line(&limiter, 2_000, &calls);
    clock.advance(Duration::from_millis(1));
    for wait in line {
        drop(wait);
    }
    let woken = calls.0.load(Ordering::SeqCst);
    assert!(woken <= 3 * 2_000, "{woken} wake-ups for 2,000 waits");
    assert_eq!(limiter.usage().waiting, 0);
    assert!(limiter.allow(), "what was granted came back");
}

#[test]
fn twenty_reservations_of_which_one_is_cancelled_tell_their_new_times() {
    let clock = clock();
    let limiter = bucket(Quota::per_second(10).burst(1), &clock);
    assert!(limiter.allow());
    let mut held: Vec<_> = (0..20).map(|_| limiter.reserve(1).unwrap()).collect();
    held.remove(4).cancel();
    for (place, reservation) in (1..).zip(&held) {
        assert_eq!(reservation.delay().expect("it comes"), Duration::from_millis(100 * place));
    }
}

#[test]
fn a_place_that_was_given_up_makes_room_for_a_wait_that_just_fits() {
    let clock = clock();
    let limiter = bucket(Quota::per_second(10).burst(1), &clock);
    assert!(limiter.allow());
    let first = limiter.reserve(1).unwrap();
    first.cancel();
    assert!(limiter.reserve_within(1, Duration::from_millis(100)).is_ok());
}

#[test]
fn a_place_given_up_and_a_credit_make_the_time_behind_a_line_shorter() {
    let clock = clock();
    let quota = Quota::per_second(1);
    let limiters: [Box<dyn RateLimiter>; 2] = [
        Box::new(TokenBucket::builder(quota).clock(clock.clone()).build().unwrap()),
        // It can only tell that time by a walk through the line, and remembers it.
        Box::new(StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap()),
    ];
    for limiter in &limiters {
        assert!(limiter.allow());
        let mut line: Vec<_> = (0..20).map(|_| limiter.reserve(1).unwrap()).collect();
        assert_eq!(limiter.delay_for(1), Ok(seconds(21)));
        line.pop().unwrap().cancel();
        assert_eq!(limiter.delay_for(1), Ok(seconds(20)));
        limiter.credit(1);
        assert_eq!(limiter.delay_for(1), Ok(seconds(19)), "the first in line has it");
    }
}

#[test]
fn after_a_stall_the_time_behind_a_line_is_told_anew() {
    let clock = clock();
    let builder = StrictLimiter::builder(Quota::per_second(1)).clock(clock.clone());
    let limiter = builder.build().unwrap();
    assert!(limiter.allow());
    let line = line(&limiter, 8, &Arc::default());
    assert_eq!(limiter.delay_for(1), Ok(seconds(9)));
    clock.advance(seconds(20));
    // The first of them is served now, and the others one a second.
    assert_eq!(limiter.delay_for(1), Ok(seconds(8)));
    assert!(!limiter.allow());
    drop(line);
}

/// Nobody looks at the one before them, and their own alarm would ring when the one before was due.
#[test]
fn who_would_be_late_by_more_than_an_eighth_is_told_at_once_and_nobody_else() {
    let clock = clock();
    let limiter = bucket(Quota::per_second(1), &clock);
    assert!(limiter.allow());
    let held = limiter.reserve(1).unwrap();
    let calls: Vec<_> = (0..12).map(|_| Arc::new(Calls::default())).collect();
    let mut waits: Vec<_> = calls.iter().flat_map(|calls| line(&limiter, 1, calls)).collect();
    drop(waits.remove(4));
    let woken: Vec<_> = calls.iter().map(|calls| calls.0.load(Ordering::SeqCst)).collect();
    assert_eq!(woken, [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    drop(held);
}

#[test]
fn jitter_never_exceeds_the_deadline() {
    let clock = clock();
    let limiter = TokenBucket::builder(Quota::per_second(10).burst(1))
        .clock(clock.clone())
        .jitter(Jitter::up_to(seconds(3_600)))
        .build()
        .unwrap();
    assert!(limiter.allow());
    let calls = Arc::new(Calls::default());
    let mut wait: Wait<'_> =
        Box::pin(limiter.acquire_timeout_on(1, Duration::from_millis(300), &Never));
    assert!(!granted(&mut wait, &calls));
    clock.advance(Duration::from_millis(300));
    assert!(granted(&mut wait, &calls), "the deadline is here");
}

/// Polls each future whose waker was called; which have ended.
fn poll_called(waits: &mut [(Wait<'_>, Arc<Calls>)]) -> Vec<bool> {
    let called = |calls: &Arc<Calls>| calls.0.swap(0, Ordering::SeqCst) > 0;
    waits.iter_mut().map(|(wait, calls)| called(calls) && granted(wait, calls)).collect()
}

#[test]
fn a_leaver_is_noticed_also_if_those_right_behind_it_are_never_polled() {
    // Behind the leaver: a future that is not polled any more, or more reservations than are looked
    // at.
    for reservations in [0_u64, 1, 16, 40] {
        let clock = clock();
        let limiter = bucket(Quota::per_second(1).burst(100), &clock);
        assert!(limiter.allow_n(100));
        let calls = Arc::new(Calls::default());
        let mut large: Wait<'_> = Box::pin(limiter.acquire_on(100, &Never));
        assert!(!granted(&mut large, &calls));
        let mut forgotten: Wait<'_> = Box::pin(limiter.acquire_on(1, &Never));
        assert!(!granted(&mut forgotten, &calls));
        let reserved: Vec<_> = (0..reservations).map(|_| limiter.reserve(1).unwrap()).collect();
        let mut others = Vec::new();
        for _ in 0..3 {
            let calls = Arc::new(Calls::default());
            let mut wait: Wait<'_> = Box::pin(limiter.acquire_on(1, &Never));
            assert!(!granted(&mut wait, &calls));
            others.push((wait, calls));
        }
        drop(large);
        poll_called(&mut others);
        clock.advance(seconds(1 + reservations));
        for place in 0..3 {
            assert!(!poll_called(&mut others)[place], "it is not its turn");
            clock.advance(seconds(1));
            assert!(poll_called(&mut others)[place], "{reservations} reserved, place {place}");
        }
        drop((reserved, forgotten));
    }
}
