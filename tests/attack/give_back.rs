//! A grant that is cancelled late gives back only what has not been refilled since.

use tollgate::{Quota, RateLimiter};

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
