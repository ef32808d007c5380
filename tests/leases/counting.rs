//! What `usage` says is what can be had, and what was used.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::{RateLimiter, Usage};

use crate::crew::{Member, YOUNG, holders, limiter};

fn numbers(usage: Usage) -> (u64, u64, u64) {
    (usage.used, usage.remaining, usage.allowed)
}

#[test]
fn permits_in_a_lease_are_not_used() {
    let (limiter, _) = limiter(100, 8);
    let holders = holders(&limiter, 8);
    assert_eq!(numbers(limiter.usage()), (32, 68, 32));
    assert_eq!(limiter.drain(), 68);
    assert_eq!(numbers(limiter.usage()), (100, 0, 100));
    for holder in &holders {
        assert_eq!(holder.asks(&limiter, 3), 0);
    }
    assert_eq!(numbers(limiter.usage()), (100, 0, 100));
}

#[test]
fn called_back_leases_are_not_counted_twice() {
    let (limiter, _) = limiter(100, 8);
    let holders = holders(&limiter, 8);
    limiter.reset();
    assert_eq!(numbers(limiter.usage()), (0, 100, 32));
    limiter.consume(150).unwrap();
    assert_eq!(numbers(limiter.usage()), (150, 0, 182));
    drop(holders);
}

#[test]
fn a_bucket_of_which_nothing_is_used_is_full_now() {
    let (limiter, _) = limiter(100, 8);
    let holder = holders(&limiter, 1).pop().unwrap();
    limiter.credit(3);
    // 4 were used and 3 given back; 3 lie in a lease.
    let usage = limiter.usage();
    assert_eq!(numbers(usage), (1, 99, 4));
    assert_eq!(usage.reset_after, Duration::from_secs(24 * 3_600));
    limiter.credit(1);
    assert_eq!(limiter.usage().reset_after, Duration::ZERO);
    drop(holder);
}

/// One step of a script: which thread, how many permits, what it does.
type Step = (usize, u64, u8);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The clock stands still, so all that is ever to be had is the burst.
    #[test]
    fn usage_counts_every_permit_and_all_of_them_can_be_had(
        batch in 1_u32..40,
        most in 1_u64..300,
        steps in prop::collection::vec((0_usize..20, 0_u64..60, 0_u8..24), 1..120),
    ) {
        let (limiter, clock) = limiter(most, batch);
        let mut members: Vec<_> = (0..20).map(|_| Member::new()).collect();
        let mut used = 0;
        for (who, permits, verb) in steps as Vec<Step> {
            match verb {
                0 => clock.hand.advance(YOUNG),
                1 => members[who] = Member::new(),
                2 => used += limiter.try_acquire_up_to(permits),
                3 => used += limiter.try_acquire(permits).map_or(0, |grant| grant.permits),
                4..=7 => {
                    let limiter = std::sync::Arc::clone(&limiter);
                    let got = members[who].does(move || limiter.allow_n(permits));
                    used += if got { permits } else { 0 };
                }
                _ => used += members[who].asks(&limiter, permits / 10),
            }
            prop_assert_eq!(numbers(limiter.usage()), (used, most - used, used));
        }
        prop_assert_eq!(limiter.drain(), most - used);
        prop_assert!(members.iter().all(|member| member.asks(&limiter, 1) == 0));
    }
}
