//! The lock-free twin next to the exact bucket, at rates that no word holds exactly.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};

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
    (0..).take_while(|_| limiter.allow()).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_twin_admits_hardly_less_and_never_more(
        quota in exotic_quota(),
        spans in prop::collection::vec(0_u64..4_096, 1..80),
    ) {
        let clock = ManualClock::new();
        let builder = || TokenBucket::builder(quota).clock(clock.clone());
        let exact = builder().build().expect("a valid quota");
        let Ok(twin) = builder().build_atomic() else {
            return Err(TestCaseError::reject("too wide for a word"));
        };
        let (mut most, mut admitted) = (0, 0);
        for span in spans {
            most += drain(&exact);
            admitted += drain(&twin);
            prop_assert!(admitted <= most, "{admitted} of {most}");
            // most * (1 - 1e-6) - 1
            prop_assert!((most - admitted) * 1_000_000 <= most + 1_000_000, "{admitted} of {most}");
            clock.advance(quota.interval().mul_f64(f64::from(u32::try_from(span).expect("small")) / 512.0));
        }
    }
}
