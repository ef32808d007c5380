//! A grant that is cancelled late gives back only what has not been refilled since.

use tollgate::algorithm::{Algorithm, AllOf, GreedyRefill, IntervalRefill, Receipt};
use tollgate::{Quota, RateLimiter, Timestamp};

use super::{all, clock, seconds};

const LIMIT: u64 = 10;

#[test]
fn a_grant_that_was_refilled_gives_nothing_back() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_minute(LIMIT), &clock) {
        let held = limiter.reserve(LIMIT).unwrap();
        assert!(held.delay().expect("it comes").is_zero(), "{name}");
        clock.advance(seconds(121));
        assert!(limiter.allow_n(LIMIT), "{name}: full again");
        held.cancel();
        assert!(!limiter.allow(), "{name}: the cancelled grant was refilled before");
    }
}

#[test]
fn many_grants_that_were_refilled_give_nothing_back() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_second(LIMIT), &clock) {
        let mut held = Vec::new();
        for _ in 0..100 {
            clock.advance(seconds(2));
            held.push(limiter.reserve(LIMIT).unwrap());
        }
        clock.advance(seconds(2));
        let mut used = 0;
        for reservation in held {
            used += limiter.drain();
            reservation.cancel();
            used += limiter.drain();
        }
        assert_eq!(used, LIMIT, "{name}");
    }
}

#[test]
fn a_grant_from_before_a_reset_gives_nothing_back() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_hour(LIMIT), &clock) {
        let held = limiter.reserve(LIMIT).unwrap();
        limiter.reset();
        assert_eq!(limiter.drain(), LIMIT, "{name}");
        held.cancel();
        assert_eq!(limiter.drain(), 0, "{name}: the reset had given it back already");
    }
}

#[test]
fn a_grant_that_is_cancelled_at_once_gives_everything_back() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_hour(LIMIT), &clock) {
        limiter.reserve(LIMIT).unwrap().cancel();
        assert_eq!(limiter.drain(), LIMIT, "{name}");
    }
}

/// As a rule: whoever keeps the receipt of a grant that is final gets nothing for it.
#[test]
fn a_grant_that_was_released_gives_nothing_back() {
    fn check<A: Algorithm>(rule: &A) {
        let now = Timestamp::from_nanos(5);
        let mut state = rule.start(now, 0);
        let (kept, cancelled) = (Receipt::new(1, now), Receipt::new(2, now));
        rule.hold(&mut state, now, 4, kept);
        rule.hold(&mut state, now, 3, cancelled);
        rule.undo(&mut state, now, 3, cancelled);
        assert_eq!(rule.used(&state, now), 4, "{rule:?}");
        rule.release(&mut state, 4, kept);
        rule.undo(&mut state, now, 4, kept);
        assert_eq!(rule.used(&state, now), 4, "{rule:?}");
    }
    let greedy = GreedyRefill::try_from(Quota::per_hour(LIMIT)).unwrap();
    let interval = IntervalRefill::try_from(Quota::per_hour(LIMIT)).unwrap();
    check(&greedy);
    check(&interval);
    check(&AllOf::new([("one", greedy), ("another", greedy)]).unwrap());
}

#[test]
fn a_late_cancel_of_a_bucket_gives_back_what_was_not_refilled_since() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_hour(LIMIT), &clock).into_iter().take(1) {
        let held = limiter.reserve(LIMIT).unwrap();
        clock.advance(seconds(3_600 / LIMIT * 5));
        assert_eq!(limiter.drain(), 5, "{name}");
        held.cancel();
        assert_eq!(
            limiter.drain(),
            5,
            "{name}: as if the cancelled grant had never been made, less the five that were refilled meanwhile"
        );
    }
}
