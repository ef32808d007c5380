//! What the windows and the interval refill admit, by the table in `tollgate::algorithm`.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::algorithm::IntervalRefill;
use tollgate::{
    Clock, FixedWindowLimiter, IntervalTokenBucket, Limiter, ManualClock, Quota, RateLimiter,
    SlidingWindowLimiter, StrictLimiter, Timestamp,
};

use crate::timeline::{Grants, Timeline};

/// A step: time as a share of a period, what to ask, and how much.
type Step = (u16, u8, u64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u16>(), 0_u8..6, any::<u64>()), 1..150)
}

fn quota() -> impl Strategy<Value = Quota> {
    (1_u64..200, 1_u64..3_000_000_000)
        .prop_map(|(permits, nanos)| Quota::per(permits, Duration::from_nanos(nanos)))
}

fn period(quota: Quota) -> u64 {
    u64::try_from(quota.period().as_nanos()).expect("a period of seconds")
}

/// Asks, drains, reserves, cancels and steps back; notes what was admitted when.
fn admit(limiter: &dyn RateLimiter, clock: &ManualClock, quota: Quota, steps: &[Step]) -> Grants {
    let mut timeline = Timeline::new(clock);
    for &(share, what, x) in steps {
        let span = if share < 16 { 0 } else { (period(quota) * u64::from(share)) >> 17 };
        timeline.advance(span);
        if x % 16 == 0 {
            timeline.step_back(limiter, clock.now().as_nanos() / 8);
        }
        let n = 1 + x % quota.burst_size();
        match what {
            0 | 1 => timeline.grant(u64::from(limiter.allow_n(n)) * n),
            2 => timeline.grant(limiter.drain()),
            3 => timeline.grant(limiter.try_acquire_up_to(1)),
            4 => {
                if let Ok(reservation) = limiter.reserve(n) {
                    timeline.wait(reservation);
                }
            }
            _ => timeline.cancel(),
        }
    }
    timeline.into_grants()
}

/// On the full minute, before the first one, at it, and long after it.
#[test]
fn refills_on_a_grid_keep_to_it_whenever_the_bucket_starts() {
    const MINUTE: u64 = 60_000_000_000;
    for (start, next) in [(0, 2), (1, 2), (2, 3), (3, 4), (7, 8)] {
        for late in [0, 1, MINUTE - 1] {
            let clock = ManualClock::new();
            let now = start * MINUTE + late;
            clock.set(Timestamp::from_nanos(now));
            let rule = IntervalRefill::try_from(Quota::per_minute(10)).expect("a valid quota");
            let rule = rule.aligned_to(Timestamp::from_nanos(2 * MINUTE));
            let builder = Limiter::builder_from_algorithm(rule).clock(clock.clone());
            let limiter = builder.build().expect("a valid quota");
            assert_eq!(limiter.drain(), 10);
            clock.set(Timestamp::from_nanos(next * MINUTE - 1));
            assert!(!limiter.allow(), "{start} minutes and {late} ns");
            clock.set(Timestamp::from_nanos(next * MINUTE));
            assert_eq!(limiter.drain(), 10, "{start} minutes and {late} ns");
        }
    }
}

/// The most that was admitted in any half-open window of `length`.
fn most_within(grants: &Grants, length: u64) -> u64 {
    let sum = |start: u64, rest: &[(u64, u64)]| -> u64 {
        rest.iter().take_while(|(at, _)| at - start < length).map(|(_, permits)| permits).sum()
    };
    grants.iter().enumerate().map(|(i, (start, _))| sum(*start, &grants[i..])).max().unwrap_or(0)
}

fn clock() -> ManualClock {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(1 << 40));
    clock
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn strict_never_admits_more_than_the_limit(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter = StrictLimiter::builder(quota).clock(clock.clone()).build().expect("valid");
        let grants = admit(&limiter, &clock, quota, &steps);
        prop_assert!(most_within(&grants, period(quota)) <= quota.permits());
    }

    #[test]
    fn strict_admits_64_of_65_at_full_load(
        permits in 1_u64..200,
        nanos in 6_400_u64..3_000_000_000,
        pace in 1_u64..300,
    ) {
        let clock = clock();
        let quota = Quota::per(permits, Duration::from_nanos(nanos));
        let limiter = StrictLimiter::builder(quota).clock(clock.clone()).build().expect("valid");
        // Somebody asks all the time: `pace` times a period, and whenever permits come.
        let (start, periods) = (clock.now().as_nanos(), 20);
        let (end, mut admitted) = (start + periods * nanos, 0);
        while clock.now().as_nanos() < end {
            admitted += limiter.try_acquire_up_to(permits.div_ceil(pace));
            let next = limiter.delay_for(1).expect("within the burst");
            let step = Duration::from_nanos((nanos / pace).max(1));
            clock.advance(next.max(step.min(Duration::from_nanos(nanos / 64))));
        }
        prop_assert!(admitted * 65 >= permits * periods * 64, "{admitted} in {periods} periods");
    }

    #[test]
    fn fixed_admits_twice_the_limit_at_most(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter =
            FixedWindowLimiter::builder(quota).clock(clock.clone()).build().expect("valid");
        let start = clock.now().as_nanos();
        let grants = admit(&limiter, &clock, quota, &steps);
        prop_assert!(most_within(&grants, period(quota)) <= 2 * quota.permits());
        // And once within each of its own windows.
        for window in grants.chunk_by(|(a, _), (b, _)| {
            (a - start) / period(quota) == (b - start) / period(quota)
        }) {
            let admitted: u64 = window.iter().map(|(_, permits)| permits).sum();
            prop_assert!(admitted <= quota.permits(), "{admitted} at {}", window[0].0);
        }
    }

    #[test]
    fn sliding_admits_twice_the_limit_at_most(quota in quota(), steps in steps()) {
        let clock = clock();
        let limiter =
            SlidingWindowLimiter::builder(quota).clock(clock.clone()).build().expect("valid");
        let grants = admit(&limiter, &clock, quota, &steps);
        prop_assert!(most_within(&grants, period(quota)) <= 2 * quota.permits());
    }

    #[test]
    fn sliding_admits_an_even_load_below_the_limit(load in 1_u64..100, periods in 1_u64..5) {
        let clock = clock();
        let quota = Quota::per_second(load + 1);
        let limiter =
            SlidingWindowLimiter::builder(quota).clock(clock.clone()).build().expect("valid");
        for _ in 0..load * periods {
            prop_assert!(limiter.allow());
            clock.advance(Quota::per_second(load).interval());
        }
    }

    #[test]
    fn interval_admits_a_burst_and_whole_refills(
        quota in quota(),
        burst in 1_u64..400,
        steps in steps(),
    ) {
        let clock = clock();
        let quota = quota.burst(burst);
        let limiter =
            IntervalTokenBucket::builder(quota).clock(clock.clone()).build().expect("valid");
        let grants = admit(&limiter, &clock, quota, &steps);
        for (i, (start, _)) in grants.iter().enumerate() {
            let mut admitted = 0;
            for (end, permits) in &grants[i..] {
                admitted += permits;
                let refills = (end - start) / period(quota) + 1;
                prop_assert!(admitted <= burst + quota.permits() * refills, "{start}..={end}");
            }
        }
    }
}
