//! Bugs of clocks that step back, and of numbers at the ends of their range.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tollgate::algorithm::{AllOf, GreedyRefill};
use tollgate::{
    CarryOver, FixedWindowLimiter, IntervalTokenBucket, Limiter, ManualClock, Quota, RateLimiter,
    SlidingWindowLimiter, StrictLimiter, Timestamp, TokenBucket,
};

use super::limiters::{all, passes_at_once};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// governor: a clock that stepped back by some nanoseconds between cores made trouble.
#[test]
fn bug_27_a_clock_that_steps_back_mints_nothing() {
    for step_back in [1, 100, 1_000, 5_000] {
        let clock = ManualClock::new();
        for (name, limiter) in all(Quota::per_second(10), &clock) {
            let start = 10_000 + limiter.now().as_nanos() / 1_000_000;
            clock.set(at(start));
            let mut passed = passes_at_once(&*limiter);
            for _ in 0..20 {
                clock.set(at(start - step_back));
                passed += passes_at_once(&*limiter);
                clock.set(at(start));
                passed += passes_at_once(&*limiter);
            }
            assert_eq!(passed, 10, "{name} back by {step_back} ms and forth");
            clock.set(at(start + 10_000));
        }
    }
}

/// limitador, throttlecrab: the same with the wall clock. What a step back takes is its own length,
/// and no more.
#[test]
fn bug_27_a_clock_that_steps_back_costs_no_more_than_the_step() {
    let clock = ManualClock::new();
    for (name, limiter) in all(Quota::per_second(10), &clock) {
        let start = 10_000 + limiter.now().as_nanos() / 1_000_000;
        clock.set(at(start));
        assert_eq!(limiter.drain(), 10, "{name}");
        clock.set(at(start - 500));
        assert!(!limiter.allow(), "{name}");
        assert!(limiter.delay_for(1).is_ok(), "{name}");
        limiter.usage();
        clock.set(at(start + 2_000));
        assert_eq!(limiter.drain(), 10, "{name}: what came after the step is lost");
        clock.set(at(start + 5_000));
        assert!(limiter.allow_n(4), "{name}");
        clock.set(at(start + 4_700));
        // The atomic bucket keeps no newest time, and says so.
        if name != "atomic token bucket" {
            assert_eq!(limiter.usage().remaining, 6, "{name}");
            assert!(limiter.allow_n(6), "{name}");
        }
        clock.set(at(start + 10_000));
    }
}

/// pingora-limits: it panicked when a thread reset it while another computed, in its first second.
#[test]
fn bug_28_a_new_limiter_stands_a_jumping_clock_and_resets() {
    for _ in 0..20 {
        let clock = ManualClock::new();
        for (name, limiter) in all(Quota::per(5, Duration::from_millis(1)), &clock) {
            let (passed, resets, over) =
                (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        passed.fetch_add(u64::from(limiter.allow()), Ordering::Relaxed);
                    }
                });
                scope.spawn(|| {
                    for _ in 0..20 {
                        limiter.reset();
                        resets.fetch_add(1, Ordering::Relaxed);
                        limiter.usage();
                    }
                });
                let start = limiter.now();
                for i in 0..100_u64 {
                    let back = Duration::from_micros(i * 7_919 % 997);
                    clock.set(start + Duration::from_micros(i * 20));
                    let _ = limiter.allow();
                    let now = limiter.now().as_nanos();
                    let back = u64::try_from(back.as_nanos()).unwrap();
                    clock.set(Timestamp::from_nanos(now.saturating_sub(back)));
                    limiter.usage();
                }
                over.store(true, Ordering::Relaxed);
            });
            // Two milliseconds, and a full bucket at the start and after each reset.
            let (passed, resets) = (passed.into_inner(), resets.into_inner());
            assert!(passed <= 5 * (resets + 1 + 3), "{name}: {passed} after {resets} resets");
        }
    }
}

/// Any number, the dangerous ones more often.
fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        0_u64..4,
        (0_u64..4).prop_map(|n| u64::MAX - n),
        (0_u32..64, 0_u64..3).prop_map(|(bit, n)| (1_u64 << bit).wrapping_sub(1).wrapping_add(n)),
        Just(1_000_000_000),
        any::<u64>(),
    ]
}

#[derive(Clone, Debug)]
enum Verb {
    Clock(u64),
    Take(u64),
    TakeUpTo(u64),
    Consume(u64),
    Credit(u64),
    Reserve(u64),
    Forget,
    Cancel,
    Quota(u64, u64, u64, CarryOver),
    Look(u64),
    Reset,
}

fn verb() -> impl Strategy<Value = Verb> {
    let how = prop::sample::select(vec![
        CarryOver::Proportional,
        CarryOver::Keep,
        CarryOver::AddDifference,
        CarryOver::Full,
    ]);
    prop_oneof![
        3 => extreme().prop_map(Verb::Clock),
        2 => extreme().prop_map(Verb::Take),
        1 => extreme().prop_map(Verb::TakeUpTo),
        2 => extreme().prop_map(Verb::Consume),
        1 => extreme().prop_map(Verb::Credit),
        2 => extreme().prop_map(Verb::Reserve),
        1 => Just(Verb::Forget),
        1 => Just(Verb::Cancel),
        1 => (extreme(), extreme(), extreme(), how).prop_map(|(n, p, b, how)| Verb::Quota(n, p, b, how)),
        1 => extreme().prop_map(Verb::Look),
        1 => Just(Verb::Reset),
    ]
}

/// Every kind of limiter that takes this quota.
fn all_that_build(quota: Quota, clock: &ManualClock) -> Vec<Box<dyn RateLimiter>> {
    let mut built: Vec<Box<dyn RateLimiter>> = Vec::new();
    let mut add = |limiter: Option<Box<dyn RateLimiter>>| built.extend(limiter);
    let whole = Quota::per(quota.permits(), quota.period());
    macro_rules! boxed {
        ($built:expr) => {
            $built.ok().map(|limiter| Box::new(limiter) as Box<dyn RateLimiter>)
        };
    }
    add(boxed!(TokenBucket::builder(quota).clock(clock.clone()).build()));
    add(boxed!(TokenBucket::builder(quota).clock(clock.clone()).build_atomic()));
    add(boxed!(TokenBucket::builder(quota).clock(clock.clone()).build_leased(3)));
    add(boxed!(IntervalTokenBucket::builder(quota).clock(clock.clone()).build()));
    add(boxed!(FixedWindowLimiter::builder(whole).clock(clock.clone()).build()));
    add(boxed!(SlidingWindowLimiter::builder(whole).clock(clock.clone()).build()));
    add(boxed!(StrictLimiter::builder(whole).clock(clock.clone()).build()));
    if let Ok(rule) = GreedyRefill::try_from(quota) {
        let unlimited = GreedyRefill::try_from(Quota::unlimited()).unwrap();
        let rules = AllOf::new([("a", rule), ("b", unlimited)]).unwrap();
        add(boxed!(Limiter::builder_from_algorithm(rules).clock(clock.clone()).build()));
    }
    built
}

fn run(limiter: &dyn RateLimiter, clock: &ManualClock, verbs: &[Verb]) {
    let mut held = Vec::new();
    for verb in verbs {
        match *verb {
            Verb::Clock(nanos) => clock.set(Timestamp::from_nanos(nanos)),
            Verb::Take(n) => {
                if let Ok(grant) = limiter.try_acquire(n) {
                    assert_eq!(grant.permits, n);
                }
            }
            Verb::TakeUpTo(n) => assert!(limiter.try_acquire_up_to(n) <= n),
            Verb::Consume(n) => drop(limiter.consume(n)),
            Verb::Credit(n) => limiter.credit(n),
            Verb::Reserve(n) => held.extend(limiter.reserve(n)),
            Verb::Forget => drop(held.pop()),
            Verb::Cancel => drop(held.pop().map(tollgate::Reservation::cancel)),
            Verb::Quota(permits, period, burst, how) => {
                let quota = Quota::per(permits, Duration::from_nanos(period));
                let _ = limiter.set_quota_with(quota, how);
                let _ = limiter.set_quota_with(quota.burst(burst), how);
            }
            Verb::Look(n) => {
                let _ = limiter.delay_for(n);
                for place in &held {
                    let _ = place.delay();
                }
            }
            Verb::Reset => limiter.reset(),
        }
        let usage = limiter.usage();
        assert!(usage.remaining <= usage.limit, "{verb:?}: {usage:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// governor, throttlecrab, `axum_gcra`, rustcommon, limitador: products and differences
    /// overflowed, and panicked or wrapped.
    #[test]
    fn bug_29_no_numbers_make_it_panic(
        permits in extreme(),
        period in extreme(),
        burst in extreme(),
        start in extreme(),
        verbs in prop::collection::vec(verb(), 0..20),
    ) {
        let quota = Quota::per(permits, Duration::from_nanos(period)).burst(burst);
        let clock = ManualClock::new();
        clock.set(Timestamp::from_nanos(start));
        for limiter in all_that_build(quota, &clock) {
            clock.set(Timestamp::from_nanos(start));
            run(&*limiter, &clock, &verbs);
        }
    }
}

/// governor: a year-long period and a big burst wrapped around.
#[test]
fn bug_29_years_and_big_bursts_do_not_wrap() {
    let clock = ManualClock::new();
    let quota = Quota::per(1, SECOND * 31_536_000 * 500).burst(u64::MAX);
    let limiter = TokenBucket::builder(quota).clock(clock).build().unwrap();
    assert!(limiter.allow_n(u64::MAX - 1));
    assert_eq!(limiter.usage().remaining, 1);
    assert!(!limiter.allow_n(2));
    assert!(limiter.allow());
    assert!(!limiter.allow());
    assert_eq!(limiter.usage().reset_after, Timestamp::MAX - Timestamp::ZERO);
}
