//! What is left after mixed verbs, clock steps and changes of the quota.

use std::time::Duration;

use tollgate::{
    CarryOver, FixedWindowLimiter, IntervalTokenBucket, Quota, RateLimiter, SlidingWindowLimiter,
    TokenBucket,
};

use super::{all, clock, seconds};

#[test]
fn the_atomic_bucket_admits_no_more_than_its_burst_when_verbs_mix() {
    let quota = Quota::per_second(99_999_989);
    let burst = quota.burst_size();
    let limiter = TokenBucket::builder(quota).clock(clock()).build_atomic().unwrap();
    let mut used = limiter.try_acquire_up_to(burst - 1);
    while limiter.allow() {
        used += 1;
    }
    assert_eq!(used, burst);
}

#[test]
fn an_atomic_bucket_that_starts_empty_is_empty() {
    let quota = Quota::per_second(999_999_937).burst(1_000_000_000);
    let clock = clock();
    let limiter =
        TokenBucket::builder(quota).clock(clock.clone()).initial(0).build_atomic().unwrap();
    assert!(!limiter.allow());
    let limiter = TokenBucket::builder(Quota::per_second(10)).clock(clock).build_atomic().unwrap();
    limiter.drain();
    limiter.set_quota_with(quota, CarryOver::Keep).unwrap();
    assert!(!limiter.allow());
}

#[test]
fn a_clock_that_steps_back_and_forth_refills_nothing() {
    for index in 0..6 {
        let clock = clock();
        let (name, limiter) = all(Quota::per_second(10), &clock).swap_remove(index);
        assert!(limiter.allow_n(10), "{name}");
        clock.advance(seconds(10));
        limiter.usage();
        let latest = limiter.now();
        clock.set(tollgate::Timestamp::from_nanos(latest.as_nanos() - 5_000_000_000));
        let first = limiter.drain();
        assert!(first <= 10, "{name}: {first} at the latest time seen");
        clock.set(latest);
        assert_eq!(first + limiter.drain(), 10, "{name}");
    }
}

#[test]
fn switching_between_a_long_and_a_short_period_gains_nothing() {
    let (hour, minute) = (Quota::per_hour(1_000), Quota::per_minute(10));
    for how in [CarryOver::Proportional, CarryOver::Keep] {
        for fixed in [true, false] {
            let clock = clock();
            let limiter: Box<dyn RateLimiter> = if fixed {
                Box::new(FixedWindowLimiter::builder(hour).clock(clock.clone()).build().unwrap())
            } else {
                Box::new(IntervalTokenBucket::builder(hour).clock(clock.clone()).build().unwrap())
            };
            let mut used = limiter.drain();
            for _ in 0..60 {
                limiter.set_quota_with(minute, how).unwrap();
                used += limiter.drain();
                clock.advance(Duration::from_nanos(59_999_999_999));
                limiter.set_quota_with(hour, how).unwrap();
                clock.advance(Duration::from_nanos(60));
                used += limiter.drain();
            }
            assert!(used <= 1_000 + 10 + 600, "fixed {fixed}, {how:?}: {used} in an hour");
        }
    }
}

#[test]
fn what_is_used_stays_used_under_a_lower_quota() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        assert!(limiter.allow_n(3), "{name}");
        limiter.set_quota_with(Quota::per_second(5), CarryOver::KeepUsed).unwrap();
        assert_eq!(limiter.drain(), 2, "{name}");
    }
}

#[test]
fn a_credit_larger_than_the_current_window_reaches_the_one_before() {
    let clock = clock();
    let limiter =
        SlidingWindowLimiter::builder(Quota::per_minute(10)).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow_n(10));
    clock.advance(seconds(90));
    assert_eq!(limiter.drain(), 5, "half of the window before still counts");
    limiter.credit(10);
    assert_eq!(
        limiter.usage().remaining,
        7,
        "five of this window, five (weighing half) of the one before"
    );
}

#[test]
fn refusals_are_counted_up_to_the_largest_number() {
    let limiter = TokenBucket::builder(Quota::per_hour(1)).clock(clock()).build().unwrap();
    limiter.drain();
    let (limiter, hold) = (&limiter, &std::sync::Barrier::new(10));
    std::thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(move || {
                let _ = limiter.allow();
                hold.wait();
                hold.wait();
            });
        }
        hold.wait();
        std::thread::scope(|tenth| {
            tenth.spawn(|| {
                for _ in 0..3 {
                    let _ = limiter.allow_n(1 << 63);
                }
            });
        });
        let denied = limiter.usage().denied;
        hold.wait();
        assert_eq!(denied, u64::MAX);
    });
}

#[test]
fn changes_to_and_fro_by_one_rule_at_one_instant_gain_nothing() {
    for how in [CarryOver::Proportional, CarryOver::Keep, CarryOver::KeepUsed] {
        for other in [1, 3, 7, 11, 1_000] {
            let clock = clock();
            for (name, limiter) in all(Quota::per_minute(10), &clock) {
                assert!(limiter.allow_n(6), "{name}");
                for _ in 0..5 {
                    limiter.set_quota_with(Quota::per_minute(other), how).unwrap();
                    limiter.set_quota_with(Quota::per_minute(10), how).unwrap();
                }
                let left = limiter.drain();
                assert!(left <= 4, "{name}, {how:?}, by way of {other}: {left} of 4 left");
            }
        }
    }
}
