//! A bound on the keys: what those meet who find no room.

use std::time::Duration;

use tollgate::keyed::{Terms, WhenFull};
use tollgate::{
    CarryOver, ConsumeError, KeyedLimiter, ManualClock, Quota, RateLimiter, Rejection, WaitError,
};

use crate::OnManual;

const SECOND: Duration = Duration::from_secs(1);

/// One permit a second for each key but the special ones, and room for two keys, both taken.
fn crowded(when_full: WhenFull, clock: &ManualClock) -> OnManual {
    let builder = KeyedLimiter::<u64>::builder(Quota::per_second(1).burst(2)).clock(clock.clone());
    let terms = |key: &u64| match key {
        100 => Terms::exempt(),
        200 => Terms::blocked(),
        _ => Terms::default(),
    };
    let builder = builder.terms_by(terms).hasher(crate::Hasher::default()).shards(1);
    let limiter = builder.max_keys(2).when_full(when_full).build().unwrap();
    assert!(limiter.allow(&1) && limiter.allow(&2));
    limiter
}

#[test]
fn every_verb_tells_a_new_key_that_there_is_no_room() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Deny, &clock);
    let refused = Rejection::TooManyKeys { max_keys: 2 };
    assert!(!limiter.allow(&3));
    assert_eq!(limiter.try_acquire(&3, 1), Err(refused));
    assert_eq!(limiter.delay_for(&3, 1), Err(refused));
    assert_eq!(limiter.for_key(&3).try_acquire_up_to(1), 0);
    assert_eq!(limiter.consume(&3, 1), Err(ConsumeError::TooManyKeys { max_keys: 2 }));
    assert_eq!(limiter.wait(&3), Err(WaitError::TooManyKeys { max_keys: 2 }));
    assert_eq!(limiter.reserve(&3, 1).err(), Some(WaitError::TooManyKeys { max_keys: 2 }));
    limiter.credit(&3, 1);
    limiter.reset(&3);
    limiter.remove(&3);
    assert_eq!((limiter.usage(&3).used, limiter.len()), (0, 2));
    assert!(limiter.allow(&1) && limiter.allow(&2), "the known ones do not notice");
}

#[test]
fn there_is_room_again_at_the_moment_a_key_is_full() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Deny, &clock);
    clock.advance(SECOND - Duration::from_nanos(1));
    assert!(!limiter.allow(&3));
    assert!(limiter.allow(&2));
    clock.advance(Duration::from_nanos(1));
    assert!(limiter.allow(&3), "1 is full, and gives its place");
    assert!(!limiter.allow(&1), "and has none any more, with 2 and 3 active");
}

#[test]
fn a_key_with_debt_waiter_reservation_or_terms_keeps_its_place() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Deny, &clock);
    limiter.consume(&1, 3).unwrap();
    clock.advance(3 * SECOND);
    assert!(limiter.allow(&3), "2 is full");
    assert!(!limiter.allow(&4), "1 owes a permit");
    clock.advance(2 * SECOND);
    limiter.sweep();

    limiter.consume(&5, 2).unwrap();
    let held = limiter.reserve(&5, 1).unwrap();
    limiter.set_terms_for(&6, Terms::default().cost(2)).unwrap();
    clock.advance(9 * SECOND);
    limiter.sweep();
    assert_eq!(limiter.len(), 2, "5 has a reservation to fetch, 6 has terms set by hand");
    assert!(limiter.allow(&7), "6 takes no place");
    assert!(!limiter.allow(&8), "5 and 7 do");
    held.wait().unwrap();
    limiter.sweep();
    assert!(limiter.allow(&8));
    limiter.clear_terms_for(&6);
    assert_eq!(limiter.len(), 2, "7 and 8");
}

#[test]
fn keys_that_need_no_place_are_not_refused_for_want_of_one() {
    for when_full in [WhenFull::Deny, WhenFull::Share] {
        let clock = ManualClock::new();
        let limiter = crowded(when_full, &clock);
        assert!(limiter.allow_n(&100, 1_000), "{when_full:?}: exempt");
        assert!(limiter.wait_timeout(&100, 1_000, Duration::ZERO).is_ok());
        assert_eq!(limiter.try_acquire(&200, 1), Err(Rejection::Blocked), "{when_full:?}: blocked");
        assert_eq!(limiter.wait(&200), Err(WaitError::Blocked));
        assert_eq!(limiter.len(), 2);
    }
}

#[test]
fn the_shared_bucket_follows_a_new_quota() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Share, &clock);
    assert!(limiter.allow_n(&3, 2) && !limiter.allow(&4));
    limiter.set_quota_with(Quota::per_second(10), CarryOver::Keep).unwrap();
    assert_eq!((limiter.usage(&3).limit, limiter.usage(&3).remaining), (10, 0));
    clock.advance(SECOND / 10);
    assert!(limiter.allow(&4) && !limiter.allow(&3));
}

#[test]
fn the_shared_bucket_is_closed_with_the_limiter() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Share, &clock);
    limiter.close();
    assert_eq!(limiter.try_acquire(&3, 1), Err(Rejection::Closed));
    assert_eq!(limiter.try_acquire(&1, 1), Err(Rejection::Closed));
}

#[test]
fn the_shared_bucket_counts_in_the_totals_and_lets_nobody_wait() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Share, &clock);
    assert!(limiter.allow(&3) && limiter.allow(&4) && !limiter.allow(&5));
    assert_eq!((limiter.totals().allowed, limiter.totals().denied), (4, 1));
    assert_eq!(limiter.wait(&3), Err(WaitError::QueueFull { max_waiters: 0 }));
    let usage = limiter.usage(&77);
    assert_eq!((usage.used, usage.remaining), (2, 0), "a look shows what a request would meet");
}

#[test]
fn the_bound_can_be_moved_while_keys_are_held() {
    let clock = ManualClock::new();
    let limiter = crowded(WhenFull::Deny, &clock);
    assert!(limiter.set_max_keys(3) && limiter.allow(&3) && !limiter.allow(&4));
    // Lowered: those that are held stay, and there is no room for a new key before two have gone.
    assert!(limiter.set_max_keys(2));
    assert!(limiter.allow(&3) && limiter.len() == 3);
    clock.advance(SECOND);
    assert!(limiter.allow_n(&1, 2) && limiter.allow(&2) && limiter.allow(&3));
    assert_eq!(limiter.try_acquire(&4, 1), Err(Rejection::TooManyKeys { max_keys: 2 }));
    clock.advance(2 * SECOND);
    assert!(limiter.allow(&4));
    assert!(!limiter.set_max_keys(0), "a limiter without room for any key is a mistake");
    let free = KeyedLimiter::<u64>::new(Quota::per_second(1)).unwrap();
    assert!(!free.set_max_keys(5), "there is no bound to move");
}
