//! Bugs in changing a limit at run time.

use std::time::Duration;

use tollgate::{CarryOver, Composite, ManualClock, Quota, QuotaError, RateLimiter};

use super::limiters::{all, buckets};

const SECOND: Duration = Duration::from_secs(1);

/// iops ratelimit: a new rate was paid for the idle time before it.
#[test]
fn bug_09_idle_time_is_paid_at_the_old_rate() {
    let clock = ManualClock::new();
    for (name, limiter) in buckets(Quota::per_second(10).burst(100), &clock) {
        if name == "composite" {
            continue; // one quota can't say which of its limits is meant
        }
        limiter.drain();
        clock.advance(SECOND);
        limiter.set_quota_with(Quota::per_second(1000).burst(100), CarryOver::Keep).unwrap();
        assert_eq!(limiter.usage().remaining, 10, "{name}");
    }
    let (old, new) = (Quota::per_second(10).burst(100), Quota::per_second(1000).burst(100));
    let limiter = Composite::builder_of([("a", old)]);
    let limiter = limiter.clock(clock.clone()).build().unwrap();
    limiter.drain();
    clock.advance(SECOND);
    limiter.set_limits([("a", new)], CarryOver::Keep).unwrap();
    assert_eq!(limiter.usage().remaining, 10);
}

/// limitador, iops ratelimit: a lowered limit made what was left negative.
#[test]
fn bug_09_a_lowered_limit_is_never_overdrawn() {
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::AddDifference] {
        for used in [0, 1, 50, 99, 100] {
            let clock = ManualClock::new();
            for (name, limiter) in all(Quota::per_second(100), &clock) {
                assert!(limiter.allow_n(used));
                let lowered = limiter.set_quota_with(Quota::per_second(10), how);
                if name == "composite" {
                    assert_eq!(lowered, Err(QuotaError::SeveralLimits));
                    continue;
                }
                let usage = limiter.usage();
                assert_eq!(usage.limit, 10, "{name}");
                assert_eq!(usage.used + usage.remaining, 10, "{name} {how:?} {used}");
            }
        }
    }
}

/// redis-cell: raising a rate made a caller wait longer.
#[test]
fn bug_09_raising_a_limit_never_makes_anybody_wait_longer() {
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::AddDifference] {
        for raised in [Quota::per_second(20), Quota::per(10, SECOND / 3)] {
            for elapsed in [1, 500, 900, 999] {
                let clock = ManualClock::new();
                for (name, limiter) in all(Quota::per_second(10), &clock) {
                    let start = limiter.now();
                    limiter.drain();
                    clock.advance(Duration::from_millis(elapsed));
                    limiter.drain();
                    let before = limiter.delay_for(1).unwrap();
                    if limiter.set_quota_with(raised, how).is_ok() {
                        let after = limiter.delay_for(1).unwrap();
                        assert!(after <= before, "{name} {how:?}: {before:?} became {after:?}");
                    }
                    clock.set(start + SECOND * 10);
                }
            }
        }
    }
}

/// The same, once more and once more: a limit that is set often still refills.
#[test]
fn bug_09_setting_a_limit_often_does_not_starve_anybody() {
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::AddDifference] {
        let clock = ManualClock::new();
        for (name, limiter) in all(Quota::per_second(10), &clock) {
            limiter.drain();
            for _ in 0..30 {
                clock.advance(SECOND * 7 / 10);
                let set = limiter.set_quota_with(Quota::per_second(10), how);
                assert!(set.is_ok() || name == "composite");
            }
            assert_eq!(limiter.usage().remaining, 10, "{name} {how:?} after 21 s");
        }
    }
}

/// iops ratelimit: the way to another quota and back was a refill.
#[test]
fn bug_09_to_another_quota_and_back_is_no_refill() {
    let period = |secs| Quota::per(10, Duration::from_secs(secs));
    let others = [period(1), period(60), period(3600), Quota::per_minute(3), Quota::per_minute(37)];
    for how in [CarryOver::Keep, CarryOver::Proportional] {
        for other in others {
            for (used, elapsed) in [(10, 0), (10, 17), (4, 59), (9, 60), (7, 61), (10, 119)] {
                let clock = ManualClock::new();
                for (name, limiter) in all(period(60), &clock) {
                    let start = limiter.now();
                    assert!(limiter.allow_n(used));
                    clock.advance(Duration::from_secs(elapsed));
                    let before = (limiter.usage().remaining, limiter.delay_for(10).unwrap());
                    for _ in 0..3 {
                        if limiter.set_quota_with(other, how).is_ok() {
                            limiter.set_quota_with(period(60), how).unwrap();
                        }
                    }
                    let after = (limiter.usage().remaining, limiter.delay_for(10).unwrap());
                    let what = format!("{name} {how:?} {other} {used} {elapsed}");
                    assert!(after.0 <= before.0, "{what}: {before:?} became {after:?}");
                    assert!(after.1 >= before.1, "{what}: {before:?} became {after:?}");
                    clock.set(start + SECOND * 600);
                }
            }
        }
    }
}

/// litellm: what failed half-way was left half done.
#[test]
fn bug_33_what_fails_changes_nothing() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        assert!(limiter.allow_n(4));
        let before = limiter.usage();
        for bad in
            [Quota::per_second(0), Quota::per_second(1).burst(0), Quota::every(Duration::ZERO)]
        {
            assert!(limiter.set_quota(bad).is_err(), "{name}");
        }
        assert_eq!(limiter.usage(), before, "{name}");
    }
    let limits = [("a", Quota::per_hour(10)), ("b", Quota::per_hour(5))];
    let limiter = Composite::builder_of(limits).clock(clock).build().unwrap();
    assert!(limiter.allow_n(3));
    let before = limiter.usage_each();
    let bad = [("a", Quota::per_hour(99)), ("b", Quota::per_hour(0))];
    let zero = Box::new(QuotaError::ZeroRate);
    let error = QuotaError::Limit { name: "b".to_owned(), error: zero };
    assert_eq!(limiter.set_limits(bad, CarryOver::Full), Err(error));
    assert!(!limiter.allow_n(3));
    assert!(limiter.reserve_within(5, SECOND).is_err());
    assert_eq!(limiter.usage_each(), before);
}
