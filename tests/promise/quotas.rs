//! New quotas: what is left after a change, and that switching to and fro gains nothing.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::{
    CarryOver, FixedWindowLimiter, IntervalTokenBucket, KeyedLimiter, ManualClock, Quota,
    RateLimiter, SlidingWindowLimiter, StrictLimiter, Timestamp, TokenBucket,
};

fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 60));
    clock
}

fn all(quota: Quota, clock: &ManualClock) -> Vec<(&'static str, Box<dyn RateLimiter>)> {
    let keyed = KeyedLimiter::<u8>::builder(quota).clock(clock.clone()).build().unwrap();
    let keyed = std::sync::Arc::new(keyed);
    vec![
        ("bucket", Box::new(TokenBucket::builder(quota).clock(clock.clone()).build().unwrap())),
        (
            "atomic",
            Box::new(TokenBucket::builder(quota).clock(clock.clone()).build_atomic().unwrap()),
        ),
        (
            "interval",
            Box::new(IntervalTokenBucket::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        (
            "fixed",
            Box::new(FixedWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        (
            "sliding",
            Box::new(SlidingWindowLimiter::builder(quota).clock(clock.clone()).build().unwrap()),
        ),
        ("strict", Box::new(StrictLimiter::builder(quota).clock(clock.clone()).build().unwrap())),
        ("key", Box::new(keyed.for_key_owned(1))),
    ]
}

#[test]
fn what_is_used_stays_used() {
    let clock = clock();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        assert!(limiter.allow_n(3));
        limiter.set_quota_with(Quota::per_second(5), CarryOver::KeepUsed).unwrap();
        assert_eq!(limiter.usage().remaining, 2, "{name}");
        assert_eq!(limiter.drain(), 2, "{name}");
        limiter.set_quota_with(Quota::per_second(10), CarryOver::KeepUsed).unwrap();
        assert_eq!(limiter.usage().remaining, 5, "{name}: 5 of 10 are used");
        limiter.set_quota_with(Quota::per_second(4), CarryOver::KeepUsed).unwrap();
        assert_eq!((limiter.usage().remaining, limiter.usage().used), (0, 5), "{name}: debt");
    }
}

/// Strict: never more than the new limit in a window of the new limit.
#[test]
fn a_lowered_strict_window_counts_what_was_used() {
    let clock = clock();
    let limiter =
        StrictLimiter::builder(Quota::per_second(10)).clock(clock.clone()).build().unwrap();
    assert!(limiter.allow_n(3));
    clock.advance(Duration::from_millis(500));
    limiter.set_quota_with(Quota::per_second(5), CarryOver::KeepUsed).unwrap();
    assert_eq!(limiter.drain(), 2);
    clock.advance(Duration::from_millis(499));
    assert_eq!(limiter.drain(), 0);
    clock.advance(Duration::from_millis(1));
    assert_eq!(limiter.drain(), 3, "the first three are a second old");
    clock.advance(Duration::from_millis(500));
    assert_eq!(limiter.drain(), 2);
}

/// Of ten used in the last window a part has faded when the quota is lowered; what is left stays
/// left.
#[test]
fn a_lowered_sliding_window_keeps_what_is_left() {
    for (elapsed, more) in [(30, 0), (30, 3), (45, 4), (59, 8), (0, 0)] {
        for lower in [9, 8, 7, 5, 3, 2] {
            let clock = clock();
            let builder = SlidingWindowLimiter::builder(Quota::per_minute(10));
            let limiter = builder.clock(clock.clone()).build().unwrap();
            assert!(limiter.allow_n(10));
            clock.advance(Duration::from_secs(60 + elapsed));
            assert!(limiter.allow_n(more));
            let left = limiter.usage().remaining;
            limiter.set_quota_with(Quota::per_minute(lower), CarryOver::Keep).unwrap();
            let expected = left.min(lower);
            assert_eq!(limiter.usage().remaining, expected, "{elapsed} s, {more} more, {lower}");
            assert_eq!(limiter.drain(), expected);
        }
    }
}

#[test]
fn a_grant_can_be_cancelled_after_a_change_that_keeps_what_is_used() {
    for (name, limiter) in all(Quota::per_hour(10), &clock()) {
        let held = limiter.reserve(4).unwrap();
        limiter.set_quota_with(Quota::per_hour(30), CarryOver::KeepUsed).unwrap();
        held.cancel();
        assert_eq!(limiter.usage().used, 0, "{name}");
        let held = limiter.reserve(4).unwrap();
        limiter.set_quota_with(Quota::per_hour(20), CarryOver::Proportional).unwrap();
        let used = limiter.usage().used;
        held.cancel();
        assert_eq!(limiter.usage().used, used, "{name}: final");
    }
}

/// 1,000 an hour and 10 a minute in turns, once a minute: an hour brings at most 1,000 and 600, and
/// what was there.
#[test]
fn windows_switched_to_and_fro_bring_no_refill_sooner() {
    let (hour, minute) = (Quota::per_hour(1_000), Quota::per_minute(10));
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::KeepUsed] {
        for away in [Duration::from_nanos(60), Duration::from_millis(10), Duration::from_secs(1)] {
            for lead in [Duration::from_nanos(1), Duration::from_secs(1), Duration::from_secs(30)] {
                let clock = clock();
                for (name, limiter) in all(hour, &clock) {
                    if !matches!(name, "interval" | "fixed") {
                        continue;
                    }
                    let mut admitted = limiter.drain();
                    for _ in 0..58 {
                        limiter.set_quota_with(minute, how).unwrap();
                        admitted += limiter.drain();
                        clock.advance(Duration::from_secs(60).saturating_sub(lead));
                        admitted += limiter.drain();
                        limiter.set_quota_with(hour, how).unwrap();
                        admitted += limiter.drain();
                        clock.advance(away);
                        admitted += limiter.drain();
                    }
                    assert!(admitted <= 1_610, "{name} {how:?} {away:?} {lead:?}: {admitted}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// At one instant, no sequence of changes that end where they began gains a permit.
    #[test]
    fn at_one_instant_nothing_is_gained(
        used in 0_u64..=20,
        changes in prop::collection::vec((1_u64..100, 1_u64..10_000, 0_usize..3), 1..6),
    ) {
        let hows = [CarryOver::Proportional, CarryOver::Keep, CarryOver::KeepUsed];
        let home = Quota::per_second(20);
        let clock = clock();
        for (name, limiter) in all(home, &clock) {
            prop_assert!(limiter.allow_n(used));
            for (permits, millis, _) in &changes {
                let quota = Quota::per(*permits, Duration::from_millis(*millis));
                let how = hows[usize::try_from(permits % 3).unwrap()];
                limiter.set_quota_with(quota, how).unwrap();
                limiter.set_quota_with(home, how).unwrap();
            }
            prop_assert!(limiter.usage().remaining <= 20 - used, "{name}");
        }
    }
}

#[test]
fn several_windows_in_turns_bring_no_refill_sooner() {
    let quotas = [Quota::per_hour(1_000), Quota::per_minute(10), Quota::per_minute(11)];
    let clock = ManualClock::new();
    let limiter = FixedWindowLimiter::builder(quotas[0]).clock(clock.clone()).build().unwrap();
    let mut granted = 0;
    for minute in 0..60 {
        limiter.set_quota(quotas[minute % quotas.len()]).unwrap();
        while limiter.allow() {
            granted += 1;
        }
        clock.advance(Duration::from_secs(60));
    }
    // The hour's quota once, and that of a minute in each of its minutes.
    assert!(granted <= 1_000 + 20 * 10 + 20 * 11, "{granted}");
}
