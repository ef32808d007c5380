//! Bugs in what limiters say of themselves.

use std::time::Duration;

use tollgate::{ManualClock, Quota, RateLimiter, Rejection, TokenBucket, Usage};

use super::limiters::all;

const SECOND: Duration = Duration::from_secs(1);

/// throttle-kit: `remaining` counted up, and its proof repeated the formula. Here grants are
/// counted.
#[test]
fn bug_22_what_remains_is_what_still_passes() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        for passed in 1..=10 {
            let grant = limiter.try_acquire(1).unwrap();
            assert_eq!(grant.remaining, 10 - passed, "{name}");
            let usage = limiter.usage();
            assert_eq!((usage.remaining, usage.used), (10 - passed, passed), "{name}");
        }
        assert!(!limiter.allow(), "{name}");
    }
    // At odd moments, too: of each limiter's twin, as many pass as it says remain.
    for millis in [1, 99, 101, 550, 999, 1_001, 1_999] {
        for used in [1, 5, 10] {
            let clock = ManualClock::new();
            for (name, limiter) in all(Quota::per_second(10), &clock) {
                assert!(limiter.allow_n(used));
                clock.advance(Duration::from_millis(millis));
                let remaining = limiter.usage().remaining;
                assert_eq!(super::limiters::passes_at_once(&*limiter), remaining, "{name}");
            }
        }
    }
}

/// governor: a refusal said that the whole burst was left.
#[test]
fn bug_23_a_refusal_says_what_is_left() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        assert!(limiter.allow_n(8));
        for (request, left) in [(3, 2), (10, 2)] {
            let Err(Rejection::Denied { available, .. }) = limiter.try_acquire(request) else {
                panic!("{name} passed {request}")
            };
            assert_eq!(available, left, "{name}");
        }
        assert!(limiter.allow_n(2));
        let Err(Rejection::Denied { available, .. }) = limiter.try_acquire(1) else {
            panic!("{name} passed an eleventh")
        };
        assert_eq!(available, 0, "{name}");
    }
}

/// `tower_governor`, actix-governor: the wait was rounded down, and said "retry after 0".
#[test]
fn bug_24_who_is_refused_is_never_told_to_wait_for_nothing() {
    for quota in
        [Quota::per_second(10), Quota::per_second(1_000_000_000), Quota::per_second(999_999_937)]
    {
        let clock = ManualClock::new();
        for (name, limiter) in all(quota, &clock) {
            limiter.drain();
            for _ in 0..50 {
                if let Err(Rejection::Denied { retry_after, .. }) = limiter.try_acquire(1) {
                    assert!(!retry_after.is_zero(), "{name} {quota}");
                }
                clock.advance(Duration::from_nanos(1));
            }
        }
    }
}

/// redis-cell, dragonfly, throttlecrab: it always showed a full bucket.
#[test]
fn bug_25_usage_moves_with_use() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        let mut seen = vec![limiter.usage()];
        for _ in 0..3 {
            assert!(limiter.allow_n(3));
            seen.push(limiter.usage());
        }
        let remaining: Vec<u64> = seen.iter().map(|usage| usage.remaining).collect();
        assert_eq!(remaining, [10, 7, 4, 1], "{name}");
        assert!(seen.iter().all(|usage| usage.limit == 10), "{name}");
        assert_eq!(seen[0].reset_after, Duration::ZERO, "{name}");
        assert!(seen[1..].iter().all(|usage| !usage.reset_after.is_zero()), "{name}");
    }
}

/// leaky-bucket, iops ratelimit: what they showed was as old as the last request.
#[test]
fn bug_26_usage_is_of_now_and_a_look_changes_nothing() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        limiter.drain();
        clock.advance(SECOND * 2);
        let full = |usage: &Usage| (usage.used, usage.remaining, usage.reset_after);
        assert_eq!(full(&limiter.usage()), (0, 10, Duration::ZERO), "{name}");
    }
    let limiter = TokenBucket::builder(Quota::per_second(10)).clock(clock.clone()).build().unwrap();
    limiter.drain();
    clock.advance(Duration::from_nanos(123_456_789));
    let before = limiter.snapshot();
    for _ in 0..100 {
        assert_eq!(limiter.usage(), limiter.usage());
        assert!(limiter.delay_for(2).is_ok());
    }
    let after = limiter.snapshot();
    assert_eq!((before.1, before.2), (after.1, after.2));
}
