//! Corners that random scripts seldom reach, each by hand.

use std::time::Duration;

use tollgate::algorithm::{Algorithm, FixedWindow, GreedyRefill, IntervalRefill, SlidingWindow};
use tollgate::keyed::Terms;
use tollgate::{CarryOver, Keyed, ManualClock, Quota, QuotaError, RateLimiter, Timestamp};

use crate::{Hasher, OnManual};

const SECOND: Duration = Duration::from_secs(1);

fn limiter<A>(quota: Quota, clock: &ManualClock) -> OnManual<A>
where
    A: Algorithm + TryFrom<Quota, Error = QuotaError>,
{
    let builder = Keyed::<u64, A>::builder(quota).clock(clock.clone());
    builder.hasher(Hasher::default()).shards(1).build().unwrap()
}

/// One key's state forces a new epoch while another one's is in use.
#[test]
fn a_new_epoch_keeps_what_is_used() {
    const RATE: u64 = 999_999_937;
    let clock = ManualClock::new();
    let limiter = limiter::<GreedyRefill>(Quota::per_second(RATE).burst(9 * RATE), &clock);
    for round in 0..5 {
        // A state is good for 18 s from its epoch.
        clock.advance(14 * SECOND);
        assert_eq!(limiter.usage(&1).used, 0, "round {round}");
        assert!(limiter.allow_n(&1, 3 * RATE));
        assert!(limiter.allow_n(&2, 9 * RATE));
        assert_eq!([1, 2].map(|key| limiter.usage(&key).used), [3 * RATE, 9 * RATE]);
        clock.advance(SECOND);
        assert_eq!([1, 2].map(|key| limiter.usage(&key).used), [2 * RATE, 8 * RATE]);
        assert!(limiter.allow_n(&2, RATE) && !limiter.allow(&2));
    }
}

/// Debts that fit no 64 bits are kept beside those that do, and come back to them.
#[test]
fn a_debt_of_any_size_is_paid_to_the_nanosecond() {
    let clock = ManualClock::new();
    let limiter = limiter::<GreedyRefill>(Quota::per_day(1), &clock);
    let day = 24 * 3_600 * SECOND;
    let paid = limiter.consume(&1, 200_000).unwrap();
    assert_eq!(paid, day * 199_999);
    assert!(limiter.allow(&2));
    clock.advance(day * 199_998);
    limiter.sweep();
    assert_eq!((limiter.usage(&1).used, limiter.len()), (2, 1));
    clock.advance(day + day - Duration::from_nanos(1));
    limiter.sweep();
    assert_eq!((limiter.usage(&1).used, limiter.len()), (1, 1));
    assert!(!limiter.allow(&1));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(limiter.sweep(), 1);
    assert!(limiter.allow(&1));
}

/// A key that is full begins anew when it is used, whether it was swept meanwhile or not, and
/// whichever verb it is used by.
#[test]
fn a_window_begins_when_a_full_key_is_used() {
    fn check<A: Algorithm + TryFrom<Quota, Error = QuotaError>>() {
        let verbs: [fn(&OnManual<A>); 4] = [
            |limiter| assert!(limiter.allow(&1)),
            |limiter| assert!(limiter.try_acquire(&1, 1).is_ok()),
            |limiter| assert!(limiter.consume(&1, 1).is_ok()),
            |limiter| drop(limiter.reserve(&1, 1).unwrap()),
        ];
        for verb in verbs {
            let usages = [true, false].map(|sweep| {
                let clock = ManualClock::new();
                let limiter = limiter::<A>(Quota::per_second(5), &clock);
                verb(&limiter);
                clock.advance(SECOND * 5 / 2);
                assert_eq!(if sweep { limiter.sweep() } else { limiter.len() }, 1);
                verb(&limiter);
                limiter.usage(&1)
            });
            assert_eq!(usages[0], usages[1]);
            assert!(usages[0].reset_after >= SECOND);
        }
    }
    check::<FixedWindow>();
    check::<IntervalRefill>();
    check::<SlidingWindow>();
}

#[test]
fn a_full_bucket_stays_full_by_a_new_quota_swept_or_not() {
    for how in [CarryOver::Keep, CarryOver::Proportional, CarryOver::AddDifference] {
        let clock = ManualClock::new();
        let limiter = limiter::<GreedyRefill>(Quota::per_second(5), &clock);
        assert!(limiter.allow(&1) && limiter.allow(&2));
        clock.advance(SECOND);
        limiter.remove(&2);
        limiter.set_quota_with(Quota::per_second(50), how).unwrap();
        assert_eq!([1, 2, 3].map(|key| limiter.usage(&key).remaining), [50; 3], "{how:?}");
    }
}

/// The time that one key has seen counts for all of its shard, for who waits too.
#[test]
fn a_clock_that_steps_back_is_not_followed_by_any_key() {
    let clock = ManualClock::new();
    let at = |seconds: u64| clock.set(Timestamp::from_nanos(seconds * 1_000_000_000));
    let limiter = limiter::<GreedyRefill>(Quota::per_second(1), &clock);
    at(10);
    assert!(limiter.allow(&1));
    let waiting = limiter.reserve(&1, 1).unwrap();
    at(11);
    assert!(limiter.allow(&2));
    at(5);
    assert_eq!(
        waiting.delay().expect("it comes"),
        Duration::ZERO,
        "it was due at 11 s, which has been"
    );
    assert_eq!(limiter.delay_for(&1, 1), Ok(SECOND));
    assert_eq!(limiter.delay_for(&2, 1), Ok(SECOND));
    assert!(limiter.for_key(&3).allow());
}

/// What was taken at one price is given back at that price.
#[test]
fn a_cancelled_reservation_gives_back_what_it_took_whatever_a_request_costs_now() {
    for (before, after) in [(1, 5), (5, 1)] {
        let clock = ManualClock::new();
        let limiter = limiter::<GreedyRefill>(Quota::per_hour(100), &clock);
        assert!(limiter.allow_n(&1, 50));
        limiter.set_terms_for(&1, Terms::default().cost(before)).unwrap();
        let held = limiter.reserve(&1, 2).unwrap();
        assert_eq!(limiter.usage(&1).used, 50 + 2 * before);
        limiter.set_terms_for(&1, Terms::default().cost(after)).unwrap();
        held.cancel();
        assert_eq!(limiter.usage(&1).used, 50);
    }
}
