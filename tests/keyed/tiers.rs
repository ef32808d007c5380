//! Quotas that requests bring along: whoever changes tiers gains nothing, and every verb knows of
//! them.

use std::time::Duration;

use allocation_counter::measure;
use tollgate::algorithm::{FixedWindow, SlidingWindow, StrictWindow};
use tollgate::keyed::{Terms, WhenFull};
use tollgate::{
    CarryOver, Keyed, KeyedLimiter, ManualClock, Quota, QuotaError, RateLimiter, Rejection,
    WaitError, WhichLimit,
};

use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);

fn limiter(quota: Quota, clock: &ManualClock) -> OnManual {
    let builder = KeyedLimiter::<u64>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1).build().unwrap()
}

#[test]
fn the_used_share_is_carried_over_and_to_and_fro_gains_nothing() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(10), &clock);
    let [free, gold] = [4, 1_000].map(|n| limiter.tier(Quota::per_hour(n)).unwrap());
    assert!(limiter.charge(&1).cost(500).under(&gold).allow());
    assert!(limiter.charge(&1).cost(2).under(&free).allow());
    assert!(!limiter.allow(&1), "half, and half again");
    assert_eq!((limiter.usage(&1).limit, limiter.usage(&1).used), (10, 10));
    for _ in 0..10 {
        for tier in [&free, &gold] {
            assert!(!limiter.charge(&1).under(tier).allow());
        }
        assert!(!limiter.allow(&1));
    }
    assert_eq!(limiter.usage(&1).used, 10);
    let refused = limiter.charge(&1).under(&gold).try_acquire().unwrap_err();
    clock.advance(refused.retry_after().unwrap());
    assert!(limiter.charge(&1).under(&gold).allow(), "the wait that was told is the wait");
}

#[test]
fn an_unlimited_tier_lets_pass_and_leaves_the_bucket_alone() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(10), &clock);
    let [free, staff] =
        [Quota::per_hour(4), Quota::unlimited()].map(|quota| limiter.tier(quota).unwrap());
    assert!(limiter.charge(&1).cost(4).under(&free).allow());
    assert!(limiter.charge(&1).cost(1_000_000).under(&staff).allow());
    assert!(!limiter.charge(&1).under(&free).allow(), "no way around through the unlimited tier");
    // Nor through an unlimited limiter.
    let unlimited = self::limiter(Quota::unlimited(), &clock);
    let free = unlimited.tier(Quota::per_hour(4)).unwrap();
    assert!(unlimited.charge(&1).cost(4).under(&free).allow() && unlimited.allow_n(&1, 99));
    assert!(!unlimited.charge(&1).under(&free).allow());
}

#[test]
fn terms_of_its_own_go_before_the_requests_quota() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(10), &clock);
    let gold = limiter.tier(Quota::per_hour(1_000)).unwrap();
    let ask = |key: u64, n: u64| limiter.charge(&key).cost(n).under(&gold).try_acquire();
    limiter.set_quota_for(&1, Quota::per_hour(3)).unwrap();
    assert_eq!(ask(1, 1).unwrap().remaining, 2);
    limiter.set_terms_for(&2, Terms::default().cost(100)).unwrap();
    assert_eq!(ask(2, 2).unwrap().remaining, 800);
    limiter.block(&3).unwrap();
    assert_eq!(ask(3, 1), Err(Rejection::Blocked));
    limiter.set_terms_for(&4, Terms::exempt()).unwrap();
    assert!(ask(4, 1_000_000).is_ok());
    assert!(ask(5, 1).is_ok());
    limiter.block_for(&5, SECOND).unwrap();
    assert_eq!(ask(5, 1), Err(Rejection::BlockedFor { retry_after: SECOND }));
    clock.advance(SECOND);
    assert!(ask(5, 998).is_ok(), "in the tier that it was in");
    limiter.clear_terms_for(&2);
    assert_eq!(limiter.usage(&2).used, 200, "the tier stays");
}

#[test]
fn every_verb_goes_by_the_tier_until_the_bucket_is_full() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(1), &clock);
    let gold = limiter.tier(Quota::per_second(10)).unwrap();
    assert!(limiter.charge(&1).cost(4).under(&gold).allow());
    let view = limiter.for_key(&1);
    assert_eq!((view.quota(), view.usage().remaining), (Quota::per_second(10), 6));
    assert_eq!(limiter.usages().map(|(_, usage)| usage.limit).collect::<Vec<_>>(), [10]);
    limiter.consume(&1, 8).unwrap();
    limiter.credit(&1, 1);
    assert_eq!(limiter.delay_for(&1, 1), Ok(SECOND / 5));
    assert_eq!(view.try_acquire_up_to(9), 0);
    let held = limiter.reserve(&1, 1).unwrap();
    assert_eq!(held.delay(), Some(SECOND / 5));
    held.cancel();
    limiter.set_quota(Quota::per_second(2)).unwrap();
    assert_eq!(limiter.usage(&1).used, 11, "the limiter's own quota is another");
    assert_eq!(limiter.len(), 1);
    clock.advance(2 * SECOND);
    assert_eq!(limiter.usage(&1).limit, 2, "full: as if it had never been");
    assert_eq!(limiter.sweep() + limiter.len(), 0);
}

#[test]
fn who_waits_is_retimed_when_a_request_comes_under_another_tier() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_second(1), &clock);
    let [gold, free] = [10, 2].map(|n| limiter.tier(Quota::per_second(n)).unwrap());
    assert!(limiter.charge(&1).cost(10).under(&gold).allow());
    let [soon, large] = [1, 3].map(|n| limiter.reserve(&1, n).unwrap());
    assert_eq!(soon.delay(), Some(SECOND / 10));
    assert!(!limiter.charge(&1).under(&free).allow());
    assert_eq!(soon.delay(), Some(SECOND / 2));
    let never = WaitError::ExceedsBurst { requested: 3, burst: 2, limit: WhichLimit::Only };
    assert_eq!(large.wait().unwrap_err(), never);
    assert!(!limiter.allow(&1));
    assert_eq!(soon.delay(), Some(SECOND));
    soon.cancel();
    assert_eq!(limiter.usage(&1).limit, 1);
    limiter.clear();
    assert!(limiter.is_empty());
}

#[test]
fn windows_carry_over_and_are_swept_like_buckets() {
    fn check<A>()
    where
        A: tollgate::algorithm::Algorithm + TryFrom<Quota, Error = QuotaError>,
    {
        let clock = ManualClock::new();
        let builder = Keyed::<u64, A>::builder(Quota::per_second(10)).clock(clock.clone());
        let limiter = builder.hasher(Hasher::default()).shards(1).build().unwrap();
        let gold = limiter.tier(Quota::per_second(100)).unwrap();
        assert!(limiter.allow_n(&1, 5));
        assert!(limiter.charge(&1).cost(50).under(&gold).allow());
        assert!(!limiter.charge(&1).under(&gold).allow());
        assert!(!limiter.allow(&1) && !limiter.charge(&1).under(&gold).allow());
        limiter.set_quota_with(Quota::per_second(20), CarryOver::Proportional).unwrap();
        assert_eq!(limiter.usage(&1).used, 100);
        clock.advance(2 * SECOND);
        assert_eq!(limiter.sweep(), 1);
    }
    check::<FixedWindow>();
    check::<SlidingWindow>();
    check::<StrictWindow>();
}

/// A tier so fast that states need a new epoch long before the limiter's own do.
#[test]
fn a_new_epoch_is_not_to_be_seen() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(10), &clock);
    let fast = Quota::per_second(999_999_937).burst(20_000_000_000);
    let fast = limiter.tier(fast).unwrap();
    assert!(limiter.charge(&9).cost(9).under(&fast).allow());
    assert!(limiter.allow_n(&8, 9));
    for round in 0..40_u64 {
        let before = limiter.usage(&1).used;
        assert!(limiter.charge(&1).cost(3_000_000_000).under(&fast).allow());
        assert_eq!(limiter.usage(&1).used, before + 3_000_000_000, "{round}");
        clock.advance(3 * SECOND);
        if round % 3 == 0 {
            // Then it starts at once.
            limiter.set_quota(Quota::per_hour(10)).unwrap();
        }
    }
    assert_eq!(limiter.usage(&8).used, 9);
    limiter.sweep();
    assert!(limiter.len() <= 2);
}

#[test]
fn keys_in_tiers_count_against_the_bound() {
    let clock = ManualClock::new();
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(5)).clock(clock.clone());
    let builder = builder.hasher(Hasher::default()).shards(1).max_keys(2);
    let limiter = builder.when_full(WhenFull::Share).build().unwrap();
    let gold = limiter.tier(Quota::per_second(50)).unwrap();
    assert!(limiter.charge(&1).under(&gold).allow() && limiter.charge(&2).under(&gold).allow());
    assert!(!limiter.charge(&3).cost(6).under(&gold).allow(), "the shared bucket has 5");
    assert!(limiter.charge(&3).cost(5).under(&gold).allow() && !limiter.allow(&4));
    assert!(limiter.allow(&1), "one that moves to another table keeps its place");
    assert_eq!(limiter.len(), 2);
    clock.advance(SECOND);
    assert!(
        limiter.charge(&5).under(&gold).allow() && limiter.charge(&6).cost(9).under(&gold).allow()
    );
    assert_eq!(limiter.len(), 2);
    limiter.remove(&5);
    assert_eq!(limiter.len(), 1);
}

#[test]
fn a_function_is_asked_anew_for_keys_in_tiers_too() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let blocked = Arc::new(AtomicBool::new(false));
    let by = Arc::clone(&blocked);
    let terms = move |_: &u64| {
        if by.load(Ordering::Relaxed) { Terms::blocked() } else { Terms::default() }
    };
    let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(5)).clock(ManualClock::new());
    let limiter = builder.terms_by(terms).build().unwrap();
    let gold = limiter.tier(Quota::per_hour(50)).unwrap();
    assert!(limiter.charge(&1).cost(20).under(&gold).allow());
    blocked.store(true, Ordering::Relaxed);
    limiter.refresh_terms();
    assert_eq!(limiter.charge(&1).under(&gold).try_acquire(), Err(Rejection::Blocked));
    blocked.store(false, Ordering::Relaxed);
    limiter.refresh_terms();
    assert_eq!(limiter.usage(&1).remaining, 30);
}

#[test]
fn a_known_key_in_its_tier_allocates_nothing() {
    let limiter = limiter(Quota::per_hour(10), &ManualClock::new());
    let gold = limiter.tier(Quota::per_hour(1_000_000)).unwrap();
    assert!(limiter.charge(&1).under(&gold).allow() && limiter.usage(&1).used == 1);
    let info = measure(|| {
        for _ in 0..100 {
            assert!(limiter.charge(&1).under(&gold).allow());
            assert!(limiter.charge(&1).under(&gold).try_acquire().is_ok());
        }
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_look_under_any_tier_is_what_a_request_would_be_told_and_changes_nothing() {
    fn looks<A>(quota: Quota)
    where
        A: tollgate::algorithm::Algorithm + TryFrom<Quota, Error = QuotaError>,
    {
        let clock = ManualClock::new();
        let build = || {
            let builder = Keyed::<u64, A>::builder(quota).clock(clock.clone());
            builder.hasher(Hasher::default()).shards(1).build().unwrap()
        };
        // The second limiter is never looked at.
        let (looked_at, other) = (build(), build());
        let quotas = [Quota::per_hour(3), Quota::per_hour(1_000)];
        let tiers = |limiter: &Keyed<u64, A, ManualClock, Hasher>| {
            quotas.map(|quota| limiter.tier(quota).unwrap())
        };
        let (tiers, others) = (tiers(&looked_at), tiers(&other));
        for step in 0..200_u64 {
            for tier in &tiers {
                for cost in [0, 1, 2, 2_000] {
                    let _ = looked_at.charge(&(step % 2)).cost(cost).under(tier).look();
                    let _ = looked_at.charge(&99).cost(cost).look();
                }
            }
            let (key, which, cost) = (step % 2, usize::from(step % 7 == 0), step % 3);
            let told = looked_at.charge(&key).cost(cost).under(&tiers[which]).look();
            let answer = looked_at.charge(&key).cost(cost).under(&tiers[which]).try_acquire();
            let expected = other.charge(&key).cost(cost).under(&others[which]).try_acquire();
            assert_eq!(answer.as_ref().err(), expected.as_ref().err(), "step {step}");
            assert_eq!(told.rejection(), expected.err(), "step {step}");
            if let Ok(grant) = answer {
                assert_eq!(told.remaining(), Some(grant.remaining + cost), "step {step}");
            }
            clock.advance(SECOND * 17);
        }
        assert_eq!(looked_at.len(), 2, "a key that was only looked at is not held");
    }
    looks::<tollgate::algorithm::GreedyRefill>(Quota::per_hour(10));
    looks::<FixedWindow>(Quota::per_hour(10));
    looks::<SlidingWindow>(Quota::per_hour(10));
    looks::<StrictWindow>(Quota::per_hour(10));
}

#[test]
fn a_look_knows_blocked_exempt_and_closed_keys() {
    let clock = ManualClock::new();
    let limiter = limiter(Quota::per_hour(1), &clock);
    limiter.block_for(&1, SECOND).unwrap();
    limiter.set_terms_for(&2, Terms::exempt()).unwrap();
    let blocked = Rejection::BlockedFor { retry_after: SECOND };
    assert_eq!(limiter.charge(&1).look().rejection(), Some(blocked));
    assert_eq!(limiter.charge(&2).cost(99).look().rejection(), None);
    limiter.close();
    assert_eq!(limiter.charge(&3).look().rejection(), Some(Rejection::Closed));
}

#[test]
fn a_look_knows_that_there_is_no_room_for_a_new_key() {
    let clock = ManualClock::new();
    for when_full in [WhenFull::Deny, WhenFull::Share] {
        let builder = KeyedLimiter::<u64>::builder(Quota::per_hour(2)).clock(clock.clone());
        let limiter = builder.max_keys(1).when_full(when_full).build().unwrap();
        assert!(limiter.charge(&2).look().rejection().is_none(), "there is room");
        assert!(limiter.allow(&1));
        let told = limiter.charge(&2).cost(2).look();
        let answer = limiter.charge(&2).cost(2).try_acquire();
        assert_eq!(told.rejection(), answer.err(), "{when_full:?}");
        // Under `Share`, the common bucket is empty now.
        assert!(limiter.charge(&3).look().rejection().is_some(), "{when_full:?}");
        assert!(limiter.charge(&1).look().rejection().is_none(), "a known key has its own bucket");
    }
}
