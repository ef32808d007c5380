//! Those who wait for different keys of a pool stand in lines of their own, side by side.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::ManualClock;
use tollgate::llm::{Error, Limits, PoolPermit};

use crate::support::{NANO, Pool, SECOND, Task, WaitingForKey, just_before, pool, queued_at, tpm};

/// A place in the queue of `pool` for so long at most.
fn timed(pool: &Pool, tokens: u64, timeout: Duration) -> WaitingForKey<'_> {
    Task::new(pool.acquire_timeout(tokens, timeout))
}

/// A key without a limit of tokens, which is busy with the permit, and one of 100 tokens a minute
/// that is used up.
fn busy_and_drained(pool: &Pool) -> PoolPermit<'_, &'static str, ManualClock> {
    pool.add("large", "", Limits::new().max_concurrent(1)).unwrap();
    pool.add("small", "", tpm(100)).unwrap();
    let streaming = pool.try_acquire(150).unwrap();
    let drained = pool.try_acquire(100).unwrap();
    assert_eq!((streaming.id(), drained.id()), ("large", "small"));
    drained.settle(100);
    streaming
}

fn any_change(pool: &Pool) {
    assert!(pool.restore("large"));
}

#[test]
fn who_stands_behind_one_that_gives_up_is_served_when_its_key_is_free() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    let streaming = busy_and_drained(&pool);
    let mut large = queued_at(&pool, 150);
    let mut first = queued_at(&pool, 50);
    any_change(&pool);
    // In 42 s: not in time. It may be told so at once or later.
    let mut impatient = timed(&pool, 20, 35 * SECOND);
    let at_once = impatient.run();
    let mut last = queued_at(&pool, 20);
    clock.advance(30 * SECOND);
    assert_eq!(first.done().unwrap().id(), "small");
    clock.advance(5 * SECOND);
    let late = at_once.unwrap_or_else(|| impatient.done());
    assert!(matches!(late, Err(Error::Timeout { .. })));
    clock.advance(just_before(7 * SECOND));
    last.waits();
    clock.advance(NANO);
    assert_eq!(last.done().unwrap().id(), "small");
    large.waits();
    drop(streaming);
    assert_eq!(large.done().unwrap().id(), "large");
}

/// Whoever is in the way, and however it leaves.
#[test]
fn who_stands_behind_one_that_leaves_is_served_when_its_key_is_free() {
    type Leave = for<'a> fn(&'a Pool, WaitingForKey<'a>, &ManualClock);
    let ways: [Leave; 4] = [
        |_, task, _| drop(task),
        // Its limits are lowered below what it asks for, and raised again.
        |pool, mut task, _| {
            pool.set_limits("small", tpm(40)).unwrap();
            pool.set_limits("large", tpm(40).max_concurrent(1)).unwrap();
            assert!(matches!(task.done(), Err(Error::Never { .. })));
            pool.set_limits("large", Limits::new().max_concurrent(1)).unwrap();
            pool.set_limits("small", tpm(100)).unwrap();
        },
        // Nobody looks until its time is over.
        |pool, mut task, clock| {
            clock.advance(30 * SECOND);
            pool.usage("small");
            assert_eq!(task.done().unwrap().id(), "small");
        },
        |pool, mut task, _| {
            pool.try_acquire(1).unwrap_err();
            task.waits();
            drop(task);
        },
    ];
    for (way, leave) in ways.into_iter().enumerate() {
        let clock = ManualClock::new();
        let pool = pool(&clock);
        let _streaming = busy_and_drained(&pool);
        let _large = (way != 1).then(|| queued_at(&pool, 150));
        let in_the_way = queued_at(&pool, 50);
        let mut last = queued_at(&pool, 20);
        leave(&pool, in_the_way, &clock);
        let served = (0..13).find_map(|_| {
            clock.advance(SECOND);
            last.run()
        });
        assert_eq!(served.expect("it is served").unwrap().id(), "small", "way {way}");
    }
}

#[test]
fn any_number_of_large_requests_leaves_the_small_key_to_others() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("large", "", tpm(200_000).max_concurrent(1)).unwrap();
    pool.add("small", "", tpm(6_000)).unwrap();
    let streaming = pool.try_acquire(50_000).unwrap();
    let mut large: Vec<_> = (0..500).map(|_| queued_at(&pool, 50_000)).collect();
    pool.try_acquire(6_000).unwrap().settle(6_000);
    let mut small: Vec<_> = (0..500).map(|_| queued_at(&pool, 100)).collect();
    for small in &mut small {
        clock.advance(just_before(SECOND));
        small.waits();
        clock.advance(NANO);
        assert_eq!(small.done().unwrap().id(), "small");
    }
    clock.advance(SECOND);
    assert_eq!(pool.try_acquire(100).unwrap().id(), "small");
    streaming.settle(50_000);
    assert_eq!(large[0].done().unwrap().id(), "large");
    assert_eq!(pool.usage("large").unwrap().waiting, 498);
}

/// A large key that is free in a minute, a small one that gives a token a second, and a request
/// that waits for the large one.
fn large_before_small(pool: &Pool) -> (WaitingForKey<'_>, WaitingForKey<'_>) {
    pool.add("large", "", tpm(600)).unwrap();
    pool.add("small", "", tpm(60)).unwrap();
    pool.try_acquire(600).unwrap().settle(600);
    pool.try_acquire(60).unwrap().settle(60);
    (queued_at(pool, 600), queued_at(pool, 8))
}

#[test]
fn a_timed_request_is_not_refused_for_those_who_wait_for_another_key() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    let (_large, mut first) = large_before_small(&pool);
    any_change(&pool);
    assert!(matches!(
        timed(&pool, 8, just_before(16 * SECOND)).done(),
        Err(Error::Timeout { retry_after: Some(wait) }) if wait == 16 * SECOND
    ));
    let mut second = timed(&pool, 8, 16 * SECOND);
    second.waits();
    clock.advance(8 * SECOND);
    assert_eq!(first.done().unwrap().id(), "small");
    clock.advance(8 * SECOND);
    assert_eq!(second.done().unwrap().id(), "small");
}

#[test]
fn a_timed_wait_is_not_ended_by_a_look_in_between() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    let (_large, mut first) = large_before_small(&pool);
    let mut second = timed(&pool, 8, 16 * SECOND);
    second.waits();
    for passed in 1..=16 {
        any_change(&pool);
        second.wake();
        second.waits();
        clock.advance(SECOND);
        if passed == 8 {
            assert_eq!(first.done().unwrap().id(), "small");
        }
    }
    assert_eq!(second.done().unwrap().id(), "small");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whoever stands before it or comes later, whoever looks in between: a request is served at
    /// the very time that it was told, and so with a timeout of just that.
    #[test]
    fn what_a_refusal_says_is_when_the_request_would_be_served(
        // Tokens per second, so that all is due at whole seconds.
        keys in prop::collection::vec(prop::sample::select(vec![1_u64, 2, 3, 6]), 1..4),
        before in prop::collection::vec(1_u64..60, 0..8),
        ask in 1_u64..60,
        after in prop::collection::vec(1_u64..60, 0..3),
        looks in any::<bool>(),
    ) {
        let clock = ManualClock::new();
        let pool = pool(&clock);
        for (key, rate) in keys.iter().enumerate() {
            pool.add(key.to_string(), "", tpm(rate * 60)).unwrap();
            while let Ok(permit) = pool.try_acquire(6) {
                permit.settle(6);
            }
        }
        let able = |tokens: &u64| keys.iter().any(|rate| tokens * 6 <= rate * 60);
        prop_assume!(able(&ask));
        let wait = |tokens: u64| queued_at(&pool, tokens * 6);
        let mut others: Vec<_> = before.into_iter().filter(able).map(wait).collect();
        let refused = timed(&pool, ask * 6, Duration::ZERO).done();
        let Err(Error::Timeout { retry_after: Some(quote) }) = refused else {
            panic!("{refused:?}");
        };
        let late = timed(&pool, ask * 6, just_before(quote)).done();
        prop_assert_eq!(late.map(drop), Err(Error::Timeout { retry_after: Some(quote) }));
        let mut task = timed(&pool, ask * 6, quote);
        task.waits();
        others.extend(after.into_iter().filter(able).map(wait));
        for _ in 0..quote.as_secs() {
            if looks {
                assert!(pool.restore("0"));
                task.wake();
            }
            task.waits();
            clock.advance(SECOND);
            others.retain_mut(|other| other.run().is_none_or(|done| {
                // What it took stays taken.
                drop(done.unwrap());
                false
            }));
        }
        prop_assert!(task.done().is_ok());
    }
}
