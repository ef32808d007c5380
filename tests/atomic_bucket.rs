//! `AtomicTokenBucket` where its word rounds, where its clock steps back, and where it refuses.

#![cfg(not(tollgate_loom))]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use tollgate::{
    AtomicTokenBucket, CarryOver, Clock, ManualClock, Quota, RateLimiter, Rejection, Timestamp,
    TokenBucket,
};

/// Rates in lowest terms that the word must round, and some that it keeps exactly.
fn quotas() -> impl Strategy<Value = Quota> {
    let second = Duration::from_secs(1);
    prop_oneof![
        Just(Quota::per(999_999_937, second).burst(99_999_989)),
        Just(Quota::per(999_999_937, second).burst(1_000_000_000)),
        Just(Quota::per(999_999_929, second).burst(7)),
        Just(Quota::per(999_983, second).burst(1_000_003)),
        Just(Quota::per(7, 3 * second).burst(5)),
        Just(Quota::per(1_000, second).burst(100)),
    ]
}

fn atomic(quota: Quota, clock: &ManualClock) -> AtomicTokenBucket<ManualClock> {
    TokenBucket::builder(quota).clock(clock.clone()).build_atomic().unwrap()
}

/// Takes all that can be had now, by halves, with the fast verb.
fn drain(limiter: &dyn RateLimiter, burst: u64) -> u64 {
    let (mut step, mut taken) = (burst, 0);
    while step > 0 {
        if limiter.allow_n(step) {
            taken += step;
        } else {
            step /= 2;
        }
    }
    taken
}

#[test]
fn slow_and_fast_verbs_together_get_no_more_than_the_burst() {
    let quota = Quota::per(999_999_937, Duration::from_secs(1)).burst(99_999_989);
    for slow in [1, 2, 50_000_000, 99_999_000] {
        let limiter = atomic(quota, &ManualClock::new());
        let taken = limiter.try_acquire_up_to(slow);
        assert_eq!(taken + drain(&limiter, quota.burst_size()), quota.burst_size(), "{slow}");
    }
}

#[test]
fn a_bucket_that_starts_empty_is_empty_at_a_rounded_rate() {
    let quota = Quota::per(999_999_937, Duration::from_secs(1)).burst(1_000_000_000);
    let clock = ManualClock::new();
    let limiter = TokenBucket::builder(quota).clock(clock.clone()).initial(0);
    assert_eq!(drain(&limiter.build_atomic().unwrap(), quota.burst_size()), 0);

    let state = TokenBucket::builder(quota).clock(clock.clone()).initial(3).build().unwrap();
    let (_, state, _) = state.snapshot();
    let limiter = TokenBucket::builder(quota).clock(clock).state(state).build_atomic().unwrap();
    assert_eq!(drain(&limiter, quota.burst_size()), 3);
}

#[test]
fn an_empty_bucket_stays_empty_when_its_quota_changes_to_a_rounded_rate() {
    let rounded = Quota::per(999_999_937, Duration::from_secs(1)).burst(1_000_000_000);
    for before in [Quota::per_second(10).burst(5), rounded.burst(12_345)] {
        let limiter = atomic(before, &ManualClock::new());
        assert!(limiter.allow_n(before.burst_size()));
        limiter.set_quota_with(rounded, CarryOver::Keep).unwrap();
        assert_eq!(drain(&limiter, rounded.burst_size()), 0, "from {before}");
    }
}

/// A permit comes a little later than after each nanosecond. The word must not be rounded so that
/// it comes with one.
#[test]
fn slow_verbs_at_a_rounded_rate_are_not_a_nanosecond_early() {
    let quota = Quota::per(999_999_937, Duration::from_secs(1)).burst(7);
    for start in 0..300 {
        let clock = ManualClock::new();
        let limiter = atomic(quota, &clock);
        clock.set(Timestamp::from_nanos(start));
        assert_eq!(limiter.try_acquire_up_to(7), 7);
        clock.advance(Duration::from_nanos(1));
        assert!(!limiter.allow(), "after {start} ns: 8 permits, where 7.999999937 had come");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// In each window between two grants: at most `burst + rate * w`, all in integers.
    #[test]
    fn no_mix_of_verbs_is_above_the_quota(
        quota in quotas(),
        script in prop::collection::vec((0_u8..7, 0_u64..1_000, 0_u64..2_000_000), 1..60),
    ) {
        let clock = ManualClock::new();
        let limiter = atomic(quota, &clock);
        let burst = quota.burst_size();
        let period = quota.period().as_nanos();
        let mut grants: Vec<(u128, u64)> = Vec::new();
        for (verb, thousandths, step) in script {
            let permits = (burst * thousandths / 1_000).max(1);
            let taken = match verb {
                0 | 1 => u64::from(limiter.allow_n(permits)) * permits,
                2 => limiter.try_acquire(permits).map_or(0, |grant| grant.permits),
                3 => limiter.try_acquire_up_to(permits),
                4 => drain(&limiter, burst),
                5 => {
                    // Neither a look nor a carried-over level may change what is there.
                    let _ = limiter.usage();
                    limiter.set_quota_with(quota, CarryOver::Keep).unwrap();
                    0
                }
                _ => {
                    clock.advance(Duration::from_nanos(step));
                    0
                }
            };
            if taken > 0 {
                grants.push((clock.now().as_nanos().into(), taken));
            }
            let now = u128::from(clock.now().as_nanos());
            let mut sum = 0_u128;
            for (at, permits) in grants.iter().rev() {
                sum += u128::from(*permits);
                let refilled = u128::from(quota.permits()) * (now - at);
                prop_assert!(sum * period <= u128::from(burst) * period + refilled);
            }
        }
    }

    /// A refusal says the same as that of the locked limiter.
    #[test]
    fn refusals_are_those_of_the_locked_limiter(
        permits in 1_u64..50, period in 1_u64..100, burst in 1_u64..40,
        script in prop::collection::vec((0_u64..45, 0_u64..30), 1..80),
    ) {
        let quota = Quota::per(permits, Duration::from_nanos(period)).burst(burst);
        let clock = ManualClock::new();
        let limiter = atomic(quota, &clock);
        let twin = TokenBucket::builder(quota).clock(clock.clone()).build().unwrap();
        for (permits, step) in script {
            clock.advance(Duration::from_nanos(step));
            prop_assert_eq!(limiter.try_acquire(permits), twin.try_acquire(permits));
        }
    }

    /// Whoever comes back when told to is served, and a nanosecond earlier is not, at any rate.
    #[test]
    fn a_refused_one_may_come_back_when_told(quota in quotas(), share in 1_u64..1_000) {
        let clock = ManualClock::new();
        let limiter = atomic(quota, &clock);
        drain(&limiter, quota.burst_size());
        let permits = (quota.burst_size() * share / 1_000).max(1);
        let Err(Rejection::Denied { retry_after, .. }) = limiter.try_acquire(permits) else {
            return Err(TestCaseError::fail("nothing is left"));
        };
        prop_assert_eq!(limiter.delay_for(permits), Ok(retry_after));
        clock.advance(retry_after);
        prop_assert!(limiter.allow_n(permits));
    }
}

type Verb = fn(&dyn RateLimiter);

/// What the limiter learns of a time with, beside a grant.
#[test]
fn a_look_or_a_refusal_before_the_clock_steps_back_counts_as_time_seen() {
    let verbs: [(&str, Verb); 4] = [
        ("usage", |limiter| assert_eq!(limiter.usage().remaining, 10)),
        ("allow_n", |limiter| assert!(!limiter.allow_n(11))),
        ("try_acquire", |limiter| assert!(limiter.try_acquire(11).is_err())),
        ("delay_for", |limiter| assert!(limiter.delay_for(1).is_ok())),
    ];
    for quota in [Quota::per_second(10), Quota::per(999_999_937, Duration::from_secs(1)).burst(10)]
    {
        for (name, look) in verbs {
            let clock = ManualClock::new();
            let limiter = atomic(quota, &clock);
            clock.set(Timestamp::from_nanos(5_000_000_000));
            look(&limiter);
            clock.set(Timestamp::from_nanos(0));
            assert_eq!(drain(&limiter, 10), 10, "{name}");
            clock.set(Timestamp::from_nanos(5_000_000_000));
            assert_eq!(drain(&limiter, 10), 0, "{name}");
        }
    }
}

#[test]
fn a_limiter_behind_a_trait_object_can_be_printed() {
    let limiter: Box<dyn RateLimiter> = Box::new(atomic(Quota::per_second(9), &ManualClock::new()));
    let shown = format!("{limiter:?}");
    assert!(shown.contains("remaining: 9"), "{shown}");
}

/// A reading of the clock from before the word's time base is refused, also where a full refill
/// takes centuries and the word's range ends beyond the end of time.
#[test]
fn a_time_before_the_base_of_the_word_is_no_time_far_ahead() {
    for quota in [
        Quota::per_day(1).burst(200_000),
        Quota::per(1, Duration::from_secs(365 * 86_400)).burst(400),
        Quota::per_second(1_000_000_000).burst(5),
        Quota::per_second(7).burst(70),
    ] {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(1 << 50));
        let limiter = TokenBucket::builder(quota).clock(clock.clone()).build_atomic().unwrap();
        let burst = limiter.drain();
        assert_eq!(burst, quota.burst_size());
        for back in [1, 1_000, 1 << 30] {
            clock.set(Timestamp::from_nanos((1 << 50) - back));
            assert!(!limiter.allow_n(burst) && !limiter.allow(), "{quota}, {back} ns back");
        }
        clock.set(Timestamp::from_nanos(1 << 50));
        let wait = limiter.delay_for(1).unwrap();
        // Rounded, if at all, by less than a millionth.
        assert!(wait <= quota.period() + quota.period() / 1_000_000, "{quota}: {wait:?}");
    }
}
