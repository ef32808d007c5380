//! Which key of a pool serves a request, and what is told of keys.

use tollgate::llm::{AddKeyError, Error, KeyPool, LimitKind, Limits, Period};
use tollgate::{ManualClock, Timestamp};

use crate::support::{MINUTE, SECOND, ids, pool, refused_by, rpm, tpm};

#[test]
fn equal_keys_take_turns() {
    let pool = pool(&ManualClock::new());
    for id in ["a", "b", "c"] {
        pool.add(id, id, rpm(100)).unwrap();
    }
    assert_eq!(ids(&pool, 0, 6), ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn the_key_with_the_larger_share_left_is_taken() {
    let pool = pool(&ManualClock::new());
    pool.add("small", "", tpm(100)).unwrap();
    pool.add("large", "", tpm(1_000)).unwrap();
    assert_eq!(ids(&pool, 50, 1), ["small"], "both have all left");
    // 95 % down to 50 %.
    assert_eq!(ids(&pool, 50, 10), ["large"; 10]);
    let mut next = ids(&pool, 50, 2);
    next.sort();
    assert_eq!(next, ["large", "small"]);
}

#[test]
fn unequal_keys_are_used_up_in_proportion() {
    let pool = pool(&ManualClock::new());
    for (id, limit) in [("a", 100), ("b", 300), ("c", 600)] {
        pool.add(id, id, tpm(limit)).unwrap();
    }
    ids(&pool, 1, 500);
    for (id, limit) in [("a", 100), ("b", 300), ("c", 600)] {
        let used = pool.usage(id).unwrap().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used;
        assert!(used.abs_diff(limit / 2) <= 3, "{id}: {used} of {limit}");
    }
}

#[test]
fn every_key_of_many_gets_its_turn() {
    let pool = pool(&ManualClock::new());
    for number in 0..100 {
        pool.add(number.to_string(), "", rpm(1_000)).unwrap();
    }
    let mut taken = ids(&pool, 0, 100);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 100);
}

#[test]
fn a_request_goes_to_the_only_key_that_can_serve_it() {
    let pool = pool(&ManualClock::new());
    pool.add("small", "", tpm(100)).unwrap();
    pool.add("large", "", tpm(1_000)).unwrap();
    assert_eq!(ids(&pool, 101, 3), ["large"; 3]);
    let never =
        Error::Never { limit: LimitKind::Tokens(Period::MINUTE), requested: 1_001, most: 1_000 };
    assert_eq!(pool.try_acquire(1_001).map(drop), Err(never), "what the largest could give");
}

#[test]
fn all_the_quota_of_all_keys_can_be_had_at_once() {
    let pool = pool(&ManualClock::new());
    for (id, limit) in [("a", 10), ("b", 30), ("c", 60)] {
        pool.add(id, id, rpm(limit)).unwrap();
    }
    assert_eq!(ids(&pool, 0, 100).len(), 100);
    // The largest refills fastest.
    assert_eq!(
        refused_by(pool.try_acquire(0)),
        (LimitKind::Requests(Period::MINUTE), Some(SECOND))
    );
}

#[test]
fn keys_that_share_an_account_share_its_limits() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("team", "", rpm(2)).unwrap();
    pool.add_sharing("team", "batch", "").unwrap();
    assert_eq!(ids(&pool, 0, 2), ["team", "batch"]);
    assert_eq!(
        refused_by(pool.try_acquire(0)),
        (LimitKind::Requests(Period::MINUTE), Some(30 * SECOND))
    );
    assert_eq!(pool.usage("team"), pool.usage("batch"));
    clock.advance(MINUTE);
    assert_eq!(ids(&pool, 0, 2), ["team", "batch"]);
}

#[test]
fn a_shared_account_outlives_the_key_it_came_with() {
    let pool = pool(&ManualClock::new());
    pool.add("team", "", rpm(2)).unwrap();
    pool.add_sharing("team", "batch", "").unwrap();
    assert!(pool.remove("team"));
    pool.add("other", "", rpm(7)).unwrap();
    let limit = |id| pool.usage(id).unwrap().of(LimitKind::Requests(Period::MINUTE)).unwrap().limit;
    assert_eq!((limit("batch"), limit("other")), (2, 7));
}

#[test]
fn what_one_key_learns_is_no_other_ones() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "", Limits::new()).unwrap();
    pool.add("b", "", Limits::new()).unwrap();
    let permit = pool.try_acquire(0).unwrap();
    assert_eq!(permit.id(), "a");
    permit.observe([("x-ratelimit-limit-requests", "5")]);
    permit.settle(0);
    assert_eq!(pool.usage("a").unwrap().of(LimitKind::Requests(Period::MINUTE)).unwrap().limit, 5);
    assert_eq!(pool.usage("b").unwrap().limits, []);
}

#[test]
fn a_pool_without_keys_says_so() {
    let pool = pool(&ManualClock::new());
    assert_eq!(pool.try_acquire(0).map(drop), Err(Error::NoKeys));
    assert_eq!(pool.wait(0).map(drop), Err(Error::NoKeys));
    pool.add("a", "", Limits::new()).unwrap();
    assert!(pool.remove("a"));
    assert_eq!(pool.try_acquire(0).map(drop), Err(Error::NoKeys));
}

#[test]
fn an_id_is_there_once_and_can_come_back() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "first", rpm(5)).unwrap();
    assert_eq!(pool.add("a", "", rpm(5)), Err(AddKeyError::Duplicate("a".into())));
    assert_eq!(pool.add_sharing("x", "b", ""), Err(AddKeyError::Unknown("x".into())));
    assert_eq!(pool.set_limits("x", rpm(1)), Err(AddKeyError::Unknown("x".into())));
    assert!(!pool.remove("x"));
    assert!(!pool.restore("x"));
    assert_eq!(pool.usage("x"), None);
    let held = pool.try_acquire(0).unwrap();
    assert!(pool.remove("a"));
    assert!(!pool.remove("a"));
    assert_eq!(pool.ids().len(), 0);
    pool.add("a", "second", rpm(5)).unwrap();
    assert_eq!(*held.secret(), "first", "a request that has the key goes on with it");
    assert_eq!(*pool.try_acquire(0).unwrap().secret(), "second");
}

#[test]
fn a_permit_of_a_removed_key_settles_with_no_other_key() {
    let pool = pool(&ManualClock::new());
    pool.add("old", "", tpm(1_000)).unwrap();
    let held = pool.try_acquire(600).unwrap();
    pool.remove("old");
    pool.add("new", "", tpm(1_000)).unwrap();
    held.settle(900);
    assert_eq!(pool.usage("new").unwrap().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used, 0);
    assert_eq!(pool.usage("new").unwrap().in_flight, 0);
}

#[test]
fn secrets_are_in_no_debug_output() {
    let pool: KeyPool<&str> = KeyPool::new();
    pool.add("main", "sk-very-secret", rpm(1)).unwrap();
    let permit = pool.try_acquire(0).unwrap();
    let waiting = pool.acquire_on(0, &crate::support::NoTimer);
    let shown = format!("{pool:?} {permit:?} {:?}", pool.try_acquire(0).map(drop));
    assert!(shown.contains("main"), "{shown}");
    assert!(!shown.contains("sk-"), "{shown}");
    drop(waiting);
}

#[test]
fn a_clock_that_starts_late_is_no_obstacle() {
    let clock = ManualClock::new();
    clock.set(Timestamp::from_nanos(u64::MAX / 2));
    let pool = pool(&clock);
    pool.add("a", "", rpm(60)).unwrap();
    assert_eq!(ids(&pool, 0, 60).len(), 60);
    assert_eq!(
        refused_by(pool.try_acquire(0)),
        (LimitKind::Requests(Period::MINUTE), Some(SECOND))
    );
}

/// A refusal is remembered for as long as it holds, also if there is only one account.
#[test]
fn keys_of_the_only_account_are_used_as_soon_as_it_is_free() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "", tpm(600).max_concurrent(1)).unwrap();
    pool.add_sharing("a", "b", "").unwrap();
    let open = pool.try_acquire(600).unwrap();
    assert!(pool.try_acquire(1).is_err());
    open.settle(0);
    let open = pool.try_acquire(600).expect("all was given back");
    open.limited([("retry-after", "60")]);
    assert!(pool.try_acquire(1).is_err());
    assert!(pool.restore("a"));
    pool.try_acquire(600).expect("the pause is over").settle(600);
    assert!(pool.try_acquire(1).is_err());
    pool.set_limits("b", tpm(1_200)).unwrap();
    assert!(pool.try_acquire(1).is_ok());
}
