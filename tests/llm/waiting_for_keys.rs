//! Waits across all keys of a pool.

use tollgate::ManualClock;
use tollgate::llm::{Error, LimitKind, Limits, Period};

use crate::support::{
    NANO, NoTimer, Pool, SECOND, Task, ids, just_before, pool, queued_at, refused_by, rpm, tpm,
};

/// Keys of 6 and 12 requests a minute, all used up: one is free every 10 s, one every 5 s.
fn two_keys(clock: &ManualClock) -> Pool {
    let pool = pool(clock);
    pool.add("slow", "", rpm(6)).unwrap();
    pool.add("fast", "", rpm(12)).unwrap();
    ids(&pool, 0, 18);
    pool
}

#[test]
fn the_first_key_to_be_free_serves_the_first_in_line() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut line: Vec<_> = (0..3).map(|_| queued_at(&pool, 0)).collect();
    let mut served = Vec::new();
    for _ in 0..3 {
        clock.advance(just_before(5 * SECOND));
        line.iter_mut().for_each(Task::waits);
        clock.advance(NANO);
        // At ten seconds both are free: two are served.
        while !line.is_empty() {
            let Some(done) = line[0].run() else { break };
            let permit = done.unwrap();
            served.push(permit.id().to_owned());
            permit.settle(0);
            line.remove(0);
        }
    }
    assert_eq!(line.len(), 0);
    assert_eq!(served[0], "fast");
    served[1..].sort();
    assert_eq!(served[1..], ["fast", "slow"]);
}

#[test]
fn a_large_request_at_the_head_is_passed_only_by_those_who_can_use_another_key() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("small", "", tpm(60)).unwrap();
    pool.add("large", "", tpm(600)).unwrap();
    ids(&pool, 60, 11);
    // Only the large key can ever serve it, and after half a minute.
    let mut large = queued_at(&pool, 300);
    let mut second = queued_at(&pool, 100);
    let mut small = queued_at(&pool, 1);
    clock.advance(SECOND);
    large.waits();
    assert_eq!(small.done().unwrap().id(), "small", "the large key was not taken from");
    clock.advance(20 * SECOND);
    second.waits();
    clock.advance(9 * SECOND);
    assert_eq!(large.done().unwrap().id(), "large");
    second.waits();
}

/// Where there are several keys, a refund can make somebody later: whoever it serves may take from
/// another key than was planned.
#[test]
fn who_is_put_off_by_a_refund_sleeps_on() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("large", "", tpm(600)).unwrap();
    pool.add("small", "", tpm(60)).unwrap();
    let large = pool.try_acquire(600).unwrap();
    pool.try_acquire(41).unwrap().settle(41);
    // One token is missing to the small key; the large one gives the second a hundred in 10 s.
    let mut first = queued_at(&pool, 20);
    let mut second = queued_at(&pool, 100);
    // Too many to be told of every refund.
    let _behind: Vec<_> = (0..30).map(|_| queued_at(&pool, 100)).collect();
    large.settle(585);
    clock.advance(SECOND / 2);
    assert_eq!(first.done().unwrap().id(), "large");
    clock.advance(19 * SECOND / 2);
    second.waits();
    assert!(!second.is_woken(), "it would spin until its turn");
    clock.advance(just_before(SECOND / 2));
    second.waits();
    clock.advance(NANO);
    assert_eq!(second.done().unwrap().id(), "large");
}

#[test]
fn a_key_that_is_added_serves_those_who_wait() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut line = [queued_at(&pool, 0), queued_at(&pool, 0), queued_at(&pool, 0)];
    pool.add("new", "", rpm(2)).unwrap();
    assert_eq!(line[0].done().unwrap().id(), "new");
    assert_eq!(line[1].done().unwrap().id(), "new");
    line[2].waits();
}

#[test]
fn a_key_that_is_removed_serves_nobody_any_more() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut waiting = queued_at(&pool, 0);
    assert!(pool.remove("fast"));
    clock.advance(just_before(10 * SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert_eq!(waiting.done().unwrap().id(), "slow");
}

#[test]
fn removing_the_only_key_large_enough_ends_the_wait() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("small", "", tpm(60)).unwrap();
    pool.add("large", "", tpm(600)).unwrap();
    ids(&pool, 60, 11);
    let mut large = queued_at(&pool, 300);
    let mut small = queued_at(&pool, 1);
    pool.remove("large");
    let never = Error::Never { limit: LimitKind::Tokens(Period::MINUTE), requested: 300, most: 60 };
    assert_eq!(large.done().map(drop), Err(never));
    clock.advance(SECOND);
    assert_eq!(small.done().unwrap().id(), "small");
}

#[test]
fn without_any_key_left_those_who_wait_are_told_so() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut waiting = queued_at(&pool, 0);
    pool.remove("fast");
    waiting.waits();
    pool.remove("slow");
    assert_eq!(waiting.done().map(drop), Err(Error::NoKeys));
    assert_eq!(pool.try_acquire(0).map(drop), Err(Error::NoKeys));
    pool.add("new", "", Limits::new()).unwrap();
    assert_eq!(pool.try_acquire(0).unwrap().id(), "new");
}

#[test]
fn settling_with_one_key_serves_who_waits_for_all() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", tpm(600)).unwrap();
    pool.add("b", "", tpm(600)).unwrap();
    let (a, b) = (pool.try_acquire(600).unwrap(), pool.try_acquire(600).unwrap());
    let mut waiting = queued_at(&pool, 500);
    b.settle(200);
    waiting.waits();
    a.settle(100);
    assert_eq!(waiting.done().unwrap().id(), "a");
}

#[test]
fn a_wait_that_is_dropped_after_its_turn_came_gives_back_to_the_right_key() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let waiting = queued_at(&pool, 0);
    clock.advance(5 * SECOND);
    assert_eq!(pool.usage("fast").unwrap().in_flight, 1);
    drop(waiting);
    assert_eq!(pool.usage("fast").unwrap().in_flight, 0);
    assert_eq!(ids(&pool, 0, 1), ["fast"]);
}

#[test]
fn requests_at_the_same_time_are_bounded_for_each_key() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", Limits::new().max_concurrent(1)).unwrap();
    pool.add("b", "", Limits::new().max_concurrent(1)).unwrap();
    let (a, b) = (pool.try_acquire(0).unwrap(), pool.try_acquire(0).unwrap());
    assert_eq!((a.id(), b.id()), ("a", "b"));
    assert_eq!(refused_by(pool.try_acquire(0)), (LimitKind::Concurrency, None));
    let mut waiting = queued_at(&pool, 0);
    b.settle(0);
    assert_eq!(waiting.done().unwrap().id(), "b");
    a.settle(0);
}

#[test]
fn a_wait_that_would_outlast_its_timeout_fails_at_once() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let late = pool.wait_timeout(0, just_before(5 * SECOND)).map(drop);
    assert_eq!(late, Err(Error::Timeout { retry_after: Some(5 * SECOND) }));
}

#[test]
fn higher_limits_of_one_key_serve_those_who_wait() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut waiting = queued_at(&pool, 0);
    pool.set_limits("slow", rpm(7)).unwrap();
    assert_eq!(waiting.done().unwrap().id(), "slow");
}

#[test]
fn closing_ends_every_wait() {
    let clock = ManualClock::new();
    let pool = two_keys(&clock);
    let mut waiting = queued_at(&pool, 0);
    pool.close();
    assert_eq!(waiting.done().map(drop), Err(Error::Closed));
    let late = Task::new(pool.acquire_on(0, &NoTimer)).done();
    assert_eq!(late.map(drop), Err(Error::Closed));
}

#[cfg(feature = "tokio")]
#[test]
fn a_timeout_counts_from_the_call_and_not_from_the_first_poll() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", rpm(1)).unwrap();
    ids(&pool, 0, 1);
    let mut too_late = Task::new(pool.acquire_timeout(0, 60 * SECOND));
    clock.advance(61 * SECOND);
    ids(&pool, 0, 1);
    assert!(matches!(too_late.done(), Err(Error::Timeout { .. })));
}

#[cfg(feature = "tokio")]
#[test]
fn an_owned_permit_outlives_its_pool() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "secret", rpm(1)).unwrap();
    let permit = Task::new(pool.acquire_owned(0)).done().unwrap();
    drop(pool);
    assert_eq!((permit.id(), *permit.secret()), ("a", "secret"));
    permit.settle(0);
}
