//! A global limit by any rule answers like a limiter by the same rule.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::algorithm::{
    Algorithm, AllOf, FixedWindow, GreedyRefill, IntervalRefill, SlidingWindow, StrictWindow,
};
use tollgate::{CarryOver, KeyedLimiter, Limiter, ManualClock, Quota, RateLimiter, Timestamp};

type Step = (u8, u64, u64);

/// Does the same to both limiters; every answer must be the same.
fn compare(rule: impl Algorithm, quota: Quota, steps: &[Step]) -> Result<(), TestCaseError> {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 50));
    let alone = Limiter::builder_from_algorithm(rule.clone()).clock(clock.clone()).build().unwrap();
    let builder = KeyedLimiter::<u8>::builder(Quota::unlimited()).global_algorithm(rule);
    let keyed = builder.clock(clock.clone()).build().unwrap();
    let global = keyed.global().unwrap();
    let (mut held, mut held_alone) = (Vec::new(), Vec::new());
    for (verb, permits, millis) in steps.iter().copied() {
        clock.advance(Duration::from_millis(millis));
        match verb % 10 {
            0..=2 => prop_assert_eq!(global.allow_n(permits), alone.allow_n(permits)),
            3 => prop_assert_eq!(global.try_acquire(permits), alone.try_acquire(permits)),
            4 => prop_assert_eq!(global.consume(permits), alone.consume(permits)),
            5 => {
                global.credit(permits);
                alone.credit(permits);
            }
            6 => {
                if let (Ok(one), Ok(other)) = (global.reserve(permits), alone.reserve(permits)) {
                    prop_assert_eq!(one.delay(), other.delay());
                    held.push(one);
                    held_alone.push(other);
                }
            }
            7 if !held.is_empty() => {
                held.remove(0).cancel();
                held_alone.remove(0).cancel();
            }
            8 => {
                let how = [CarryOver::Proportional, CarryOver::Keep, CarryOver::KeepUsed];
                let how = how[usize::try_from(permits % 3).unwrap()];
                let quota = Quota::per(quota.permits() + permits, quota.period());
                let answers = (global.set_quota_with(quota, how), alone.set_quota_with(quota, how));
                prop_assert_eq!(answers.0, answers.1);
            }
            9 if permits == 0 => {
                global.reset();
                alone.reset();
            }
            _ => prop_assert_eq!(global.delay_for(permits), alone.delay_for(permits)),
        }
        prop_assert_eq!(global.usage(), alone.usage());
        prop_assert_eq!(global.quota(), alone.quota());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_global_limit_is_a_limit_like_any_other(
        permits in 1_u64..9,
        steps in prop::collection::vec((0_u8..10, 0_u64..6, 0_u64..900), 1..60),
    ) {
        let quota = Quota::per_second(permits);
        compare(GreedyRefill::try_from(quota).unwrap(), quota, &steps)?;
        compare(IntervalRefill::try_from(quota).unwrap(), quota, &steps)?;
        compare(FixedWindow::try_from(quota).unwrap(), quota, &steps)?;
        compare(SlidingWindow::try_from(quota).unwrap(), quota, &steps)?;
        compare(StrictWindow::try_from(quota).unwrap(), quota, &steps)?;
        let rule = |quota| StrictWindow::try_from(quota).unwrap();
        let both = AllOf::new([("second", rule(quota)), ("minute", rule(Quota::per_minute(40)))]);
        compare(both.unwrap(), quota, &steps)?;
    }
}
