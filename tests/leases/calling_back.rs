//! Whoever needs permits gets those that lie in leases of others.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::{RateLimiter, Rejection, Sleep, Timer, Timestamp};

use crate::crew::{Limiter, Member, YOUNG, holders, limiter};

/// What is to be had at one instant.
const MOST: u64 = 200;

/// Asks for `permits` in one way or another, and says how many it got.
type Verb = fn(&Limiter, u64) -> u64;

/// A timer that never rings.
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> Option<Sleep> {
        Some(Box::pin(std::future::pending()))
    }
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// All the ways to ask for permits that are to be had at once.
const VERBS: &[(&str, Verb)] = &[
    ("allow", |limiter, permits| (0..permits).map(|_| u64::from(limiter.allow())).sum()),
    ("allow_n", |limiter, permits| if limiter.allow_n(permits) { permits } else { 0 }),
    ("try_acquire", |limiter, permits| limiter.try_acquire(permits).map_or(0, |got| got.permits)),
    ("try_acquire_up_to", |limiter, permits| limiter.try_acquire_up_to(permits)),
    ("drain", |limiter, _| limiter.drain()),
    ("wait_timeout", |limiter, permits| {
        limiter.wait_timeout(permits, Duration::ZERO).map_or(0, |got| got.permits)
    }),
    ("wait_timeout for an hour", |limiter, permits| {
        limiter.wait_timeout(permits, Duration::from_secs(3_600)).map_or(0, |got| got.permits)
    }),
    ("reserve", |limiter, permits| {
        let reservation = limiter.reserve(permits).unwrap();
        if reservation.delay().expect("it comes").is_zero() {
            reservation.wait().map_or(0, |got| got.permits)
        } else {
            0
        }
    }),
    ("reserve_within", |limiter, permits| {
        let reserved = limiter.reserve_within(permits, Duration::ZERO);
        reserved.map_or(0, |reservation| reservation.wait().map_or(0, |got| got.permits))
    }),
    ("acquire_on", |limiter, permits| match poll_once(limiter.acquire_on(permits, &Never)) {
        Poll::Ready(Ok(got)) => got.permits,
        _ => 0,
    }),
    ("delay_for, then try_acquire", |limiter, permits| {
        let at_once = limiter.delay_for(permits) == Ok(Duration::ZERO);
        if at_once { limiter.try_acquire(permits).map_or(0, |got| got.permits) } else { 0 }
    }),
];

/// `idle` threads hold three permits each; another asks for all there are.
fn everything_is_had(idle: usize, batch: u32, name: &str, verb: Verb, ended: bool) {
    let (limiter, clock) = limiter(MOST, batch);
    let mut idlers = holders(&limiter, idle);
    clock.hand.advance(YOUNG);
    let used = 4 * idle as u64;
    if ended {
        idlers.clear();
    }
    let asking = Arc::clone(&limiter);
    let got = Member::new().does(move || verb(&asking, MOST - used));
    assert_eq!(got, MOST - used, "{name}, {idle} idle, ended {ended}, batch {batch}");
    assert_eq!(limiter.usage().remaining, 0, "{name}");
    assert_eq!(limiter.usage().allowed, MOST, "{name}");
    for idler in &idlers {
        assert_eq!(idler.asks(&limiter, 5), 0, "{name}: what was called back is not there twice");
    }
}

#[test]
fn every_verb_gets_what_lies_in_idle_leases() {
    for &(name, verb) in VERBS {
        for idle in [1, 8, 12] {
            for batch in [4, 64] {
                everything_is_had(idle, batch, name, verb, false);
            }
        }
    }
}

#[test]
fn every_verb_gets_what_lies_in_leases_of_threads_that_have_ended() {
    for &(name, verb) in VERBS {
        for ended in [1, 8, 20] {
            everything_is_had(ended, 16, name, verb, true);
        }
    }
}

#[test]
fn the_ninth_thread_and_all_after_it_get_what_is_idle() {
    let (limiter, clock) = limiter(1_000, 16);
    let idlers = holders(&limiter, 40);
    clock.hand.advance(YOUNG);
    let mut left = 1_000 - 4 * 40;
    for _ in 0..20 {
        let late = Member::new();
        assert_eq!(late.asks(&limiter, 40), 40);
        left -= 40;
    }
    let last = Member::new();
    let mut got = last.asks(&limiter, 1_000);
    // What the twenty hold was drawn just now; a moment later it is there.
    clock.hand.advance(YOUNG);
    got += last.asks(&limiter, 1_000);
    assert_eq!(got, left);
    drop(idlers);
}

#[test]
fn more_than_a_batch_is_had_from_idle_leases() {
    let (limiter, clock) = limiter(80, 8);
    let idlers = holders(&limiter, 8);
    let asking = Member::new();
    let asks = |permits| {
        let limiter = Arc::clone(&limiter);
        asking.does(move || limiter.allow_n(permits))
    };
    assert!(!asks(48), "leases that were drawn just now are left alone");
    clock.hand.advance(YOUNG);
    assert!(asks(48));
    assert!(!asks(9));
    drop(idlers);
}

#[test]
fn a_refused_allow_calls_back_again_and_again() {
    // A lease that is drawn after all others were called back must be found as well.
    let (limiter, clock) = limiter(100, 8);
    let (first, second) = (Member::new(), Member::new());
    let mut used = 0;
    for _ in 0..5 {
        used += first.asks(&limiter, 4);
        clock.hand.advance(YOUNG);
        // Takes all there is, and what the first holds.
        used += second.asks(&limiter, 200);
        assert_eq!(used, 100);
        limiter.credit(30);
        used -= 30;
    }
}

#[test]
fn a_lone_try_acquire_needs_no_second_look() {
    let (limiter, _) = limiter(100, 8);
    let idlers = holders(&limiter, 3);
    // Not even a moment later, and in one go.
    assert!(limiter.try_acquire(88).is_ok());
    let refused = limiter.try_acquire(1).unwrap_err();
    assert!(matches!(refused, Rejection::Denied { available: 0, .. }), "{refused:?}");
    drop(idlers);
}

#[test]
fn while_somebody_waits_nothing_is_leased() {
    let (limiter, clock) = limiter(100, 8);
    let holder = holders(&limiter, 1).pop().unwrap();
    let waiting = limiter.reserve(97).unwrap();
    assert_eq!(holder.asks(&limiter, 5), 0, "its lease was called back for one who waits");
    assert_eq!(
        waiting.delay().expect("it comes"),
        Duration::from_secs(24 * 3_600),
        "one of 97 is missing"
    );
    assert_eq!(limiter.usage().waiting, 1);
    waiting.cancel();
    clock.hand.advance(YOUNG);
    assert_eq!(holder.asks(&limiter, 200), 96);
}

#[test]
fn a_debt_calls_leases_back() {
    let (limiter, _) = limiter(100, 8);
    let holder = holders(&limiter, 1).pop().unwrap();
    let debt = limiter.consume(97).unwrap();
    assert_eq!(debt, Duration::from_secs(24 * 3_600), "4 and 97 of 100 are used");
    assert_eq!(holder.asks(&limiter, 3), 0, "nothing passes in debt");
    assert_eq!(limiter.usage().used, 101);
}

#[test]
fn who_is_refused_keeps_nothing() {
    let (limiter, _) = limiter(10, 8);
    let asking = holders(&limiter, 1).pop().unwrap();
    let other = Arc::clone(&limiter);
    // It holds three, three are left in the bucket: seven are not there.
    let refused = asking.does(move || (other.try_acquire_up_to(0), other.allow_n(7)));
    assert_eq!(refused, (0, false));
    assert!(limiter.allow_n(6), "all are in the bucket, without calling back");
}

#[test]
fn leases_drawn_on_a_clock_that_steps_back_are_had() {
    let (limiter, clock) = limiter(100, 8);
    clock.hand.advance(Duration::from_secs(100));
    let idlers = holders(&limiter, 3);
    assert!(limiter.allow_n(79), "all that is in the bucket");
    clock.hand.set(Timestamp::from_nanos(5_000_000_000));
    assert_eq!(Member::new().asks(&limiter, 200), 9);
    drop(idlers);
}

#[test]
fn leases_drawn_at_the_end_of_time_are_had() {
    let (limiter, clock) = limiter(100, 8);
    clock.hand.set(Timestamp::MAX);
    let idlers = holders(&limiter, 3);
    assert_eq!(Member::new().asks(&limiter, 200), 88);
    drop(idlers);
}
