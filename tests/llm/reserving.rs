//! A permit promised for later.

use tollgate::ManualClock;
use tollgate::llm::{LimitKind, Limits, Period};

use crate::support::{SECOND, limiter, tpm, used};

#[test]
fn a_reservation_says_when_it_is_due_and_becomes_a_permit_then() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    limiter.consume_tokens(600);
    let (first, second) = (limiter.reserve(100).unwrap(), limiter.reserve(50).unwrap());
    assert_eq!(
        (first.delay().expect("it comes"), second.delay().expect("it comes")),
        (10 * SECOND, 15 * SECOND)
    );
    clock.advance(10 * SECOND);
    first.wait().unwrap().settle(100);
    assert_eq!(limiter.usage().in_flight, 0);
    assert_eq!(second.delay().expect("it comes"), 5 * SECOND);
}

#[test]
fn a_dropped_reservation_takes_nothing_before_or_after_it_is_due() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    drop(limiter.reserve(600).unwrap());
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 0);
    limiter.consume_tokens(600);
    let (first, second) = (limiter.reserve(300).unwrap(), limiter.reserve(300).unwrap());
    drop(first);
    assert_eq!(second.delay().expect("it comes"), 30 * SECOND, "it moves up");
    clock.advance(30 * SECOND);
    drop(second);
    assert_eq!(
        (used(&limiter, LimitKind::Tokens(Period::MINUTE)), limiter.usage().in_flight),
        (300, 0)
    );
}

#[test]
fn a_reservation_larger_than_a_limit_fails_at_once() {
    let limiter = limiter(&ManualClock::new(), Limits::new().tokens_per_minute(10));
    assert!(limiter.reserve(11).is_err());
}
