//! What a token bucket admits in any window, and in all.

use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use tollgate::{Clock, ManualClock, Quota, RateLimiter, Timestamp, TokenBucket};

use crate::sizes::quota_of;
use crate::timeline::Timeline;

fn rational(value: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(value))
}

/// `burst + rate * nanos`.
fn most(quota: Quota, nanos: u64) -> BigRational {
    let rate = BigRational::new(quota.permits().into(), quota.period().as_nanos().into());
    rational(quota.burst_size()) + rate * rational(nanos)
}

fn limited_quota() -> impl Strategy<Value = Quota> {
    (any::<u8>(), any::<u64>(), any::<u64>()).prop_map(|(kind, a, b)| quota_of(kind % 9, a, b))
}

/// A time span as a share of the period, or just few nanoseconds.
fn span(quota: Quota, share: u16) -> u64 {
    let period = u64::try_from(quota.period().as_nanos()).unwrap_or(u64::MAX);
    if share < 9 { share.into() } else { (period >> 4) / 4096 * u64::from(share) }
}

fn bucket(quota: Quota, clock: &ManualClock) -> TokenBucket<ManualClock> {
    clock.set(Timestamp::from_nanos(1 << 60));
    TokenBucket::builder(quota).clock(clock.clone()).build().expect("a valid quota")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Asks of all kinds, on a clock that jumps; waits count when they are served.
    #[test]
    fn no_window_admits_too_much(
        quota in limited_quota(),
        steps in prop::collection::vec((0_u8..8, any::<u16>(), any::<u64>()), 1..60),
    ) {
        let clock = ManualClock::new();
        let limiter = bucket(quota, &clock);
        let mut timeline = Timeline::new(&clock);
        for (what, share, x) in steps {
            let n = 1 + x % quota.burst_size();
            match what {
                0..=2 => timeline.advance(span(quota, share)),
                3 => timeline.step_back(&limiter, x % (clock.now().as_nanos() / 2)),
                4 => timeline.grant(u64::from(limiter.allow_n(n)) * n),
                5 => timeline.grant(limiter.try_acquire(n).map_or(0, |grant| grant.permits)),
                6 => timeline.grant(limiter.try_acquire_up_to(n)),
                _ => {
                    if let Ok(reservation) = limiter.reserve(n) {
                        timeline.wait(reservation);
                    }
                }
            }
        }
        let grants = timeline.into_grants();
        for (i, (start, _)) in grants.iter().enumerate() {
            let mut admitted = rational(0);
            for (end, permits) in &grants[i..] {
                admitted += rational(*permits);
                prop_assert!(admitted <= most(quota, end - start), "{start}..={end}");
            }
        }
    }

    /// Whoever asks often enough gets all there is, to less than one permit.
    #[test]
    fn no_permit_is_lost(
        quota in limited_quota(),
        shares in prop::collection::vec(any::<u16>(), 1..60),
    ) {
        let clock = ManualClock::new();
        let limiter = bucket(quota, &clock);
        let mut admitted = rational(limiter.drain());
        let start = clock.now().as_nanos();
        for share in shares {
            let now = clock.now().as_nanos();
            // A full bucket would let permits pass unused.
            let fills = u64::try_from(limiter.usage().reset_after.as_nanos()).expect("fits");
            let longest = fills.saturating_sub(1);
            let to = now.saturating_add(span(quota, share).min(longest)).min(u64::MAX - 1);
            clock.set(Timestamp::from_nanos(to));
            admitted += rational(limiter.drain());
            let exact = most(quota, to - start);
            prop_assert!(admitted <= exact);
            prop_assert!(admitted > exact - rational(1), "at {to}");
        }
    }
}
