//! The lock-free twin next to the exact bucket, at rates that no word holds exactly.

use std::time::Duration;

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use tollgate::{AtomicTokenBucket, Clock, ManualClock, Quota, RateLimiter, TokenBucket};

fn exotic_quota() -> impl Strategy<Value = Quota> {
    prop_oneof![
        (1_000_000_000_u64 - 1_000..1_000_000_000, 1_u64..60)
            .prop_map(|(permits, burst)| { Quota::per_second(permits).burst(burst) }),
        (3_u64..5_000_000, 1_u64..60, 1_000_000_000_u64..9_000_000_000)
            .prop_map(|(permits, burst, nanos)| Quota::per(permits, Duration::from_nanos(nanos))
                .burst(burst)),
    ]
}

fn drain(limiter: &dyn RateLimiter) -> u64 {
    let mut drained = 0;
    while limiter.allow() {
        drained += 1;
    }
    drained
}

fn bucket(
    quota: Quota,
    clock: &ManualClock,
) -> Result<AtomicTokenBucket<ManualClock>, TestCaseError> {
    let builder = TokenBucket::builder(quota).clock(clock.clone());
    builder.build_atomic().map_err(|_| TestCaseError::reject("too wide for a word"))
}

/// `burst + rate * nanos`.
fn most(quota: Quota, nanos: u64) -> BigRational {
    let rate = BigRational::new(quota.permits().into(), quota.period().as_nanos().into());
    rate * BigInt::from(nanos) + BigInt::from(quota.burst_size())
}

fn millionth() -> BigRational {
    BigRational::new(1.into(), 1_000_000.into())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_window_admits_too_much(
        quota in exotic_quota(),
        spans in prop::collection::vec(0_u64..4_096, 1..60),
    ) {
        let clock = ManualClock::new();
        let limiter = bucket(quota, &clock)?;
        let mut grants = Vec::new();
        let interval = u64::try_from(quota.interval().as_nanos()).expect("short");
        for span in spans {
            grants.push((clock.now().as_nanos(), drain(&limiter)));
            clock.advance(Duration::from_nanos(interval * span / 512));
        }
        for (i, (start, _)) in grants.iter().enumerate() {
            let mut admitted = BigInt::from(0);
            for (end, permits) in &grants[i..] {
                admitted += *permits;
                let admitted = BigRational::from_integer(admitted.clone());
                prop_assert!(admitted <= most(quota, end - start), "{start}..={end}");
            }
        }
    }

    #[test]
    fn hardly_a_permit_is_lost(
        quota in exotic_quota(),
        spans in prop::collection::vec(0_u64..4_096, 1..80),
    ) {
        let clock = ManualClock::new();
        let limiter = bucket(quota, &clock)?;
        let mut admitted = BigInt::from(drain(&limiter));
        prop_assert_eq!(&admitted, &BigInt::from(quota.burst_size()));
        for span in spans {
            // A full bucket would let permits pass unused.
            let fills = u64::try_from(limiter.usage().reset_after.as_nanos()).expect("short");
            clock.advance(Duration::from_nanos(fills.saturating_sub(2) * span / 4_096));
            admitted += drain(&limiter);
            let exact = most(quota, clock.now().as_nanos());
            let least = &exact - &exact * millionth() - BigInt::from(1);
            let admitted = BigRational::from_integer(admitted.clone());
            prop_assert!(admitted > least, "{admitted} of {exact}");
        }
    }
}
