//! A request waits only for keys that could serve it.

use std::time::Duration;

use proptest::prelude::*;
use tollgate::ManualClock;
use tollgate::llm::{Error, KeyPool, Limiter, Limits, Reply};

use crate::support::{Pool, SECOND, just_before, pool, queued_at, tpm};

/// A small key and a large one, of which the large one is left alone for `pause`.
fn small_and_large(clock: &ManualClock, pause: &str) -> Pool {
    let pool = pool(clock);
    pool.add("large", "", tpm(200_000)).unwrap();
    let permit = pool.try_acquire(1).unwrap();
    assert_eq!(permit.id(), "large");
    permit.limited([("retry-after", pause)]);
    pool.add("small", "", tpm(10_000)).unwrap();
    pool
}

#[test]
fn a_request_for_a_key_that_rests_too_long_fails_and_freezes_nobody() {
    let clock = ManualClock::new();
    let pool = small_and_large(&clock, "86400");
    let wait = Duration::from_secs(24 * 3_600);
    assert_eq!(pool.try_acquire(50_000).map(drop), Err(Error::ServerWait { retry_after: wait }));
    assert_eq!(pool.wait(50_000).map(drop), Err(Error::ServerWait { retry_after: wait }));
    assert_eq!(pool.try_acquire(1).unwrap().id(), "small");
}

#[test]
fn who_waits_for_a_key_already_is_told_when_it_rests_too_long() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("large", "", tpm(200_000)).unwrap();
    let out = pool.try_acquire(200_000).unwrap();
    pool.add("small", "", tpm(10_000)).unwrap();
    let mut large = queued_at(&pool, 50_000);
    out.limited([("retry-after", "86400")]);
    assert!(matches!(large.done().map(drop), Err(Error::ServerWait { .. })));
    assert_eq!(pool.try_acquire(1).unwrap().id(), "small");
}

#[test]
fn a_head_that_waits_for_one_key_holds_up_nobody_who_can_use_another() {
    let clock = ManualClock::new();
    let pool = small_and_large(&clock, "100");
    let mut large = queued_at(&pool, 50_000);
    // The small key can't serve the first in line, so it need not wait for it.
    pool.try_acquire(10_000).unwrap().settle(10_000);
    // It is empty now: the next one waits for it alone, and not for 100 s.
    let mut small = queued_at(&pool, 1_000);
    clock.advance(just_before(6 * SECOND));
    small.waits();
    clock.advance(Duration::from_nanos(1));
    assert_eq!(small.done().unwrap().id(), "small");
    large.waits();
    clock.advance(94 * SECOND);
    assert_eq!(large.done().unwrap().id(), "large");
}

#[test]
fn a_hostile_limit_ends_no_client() {
    let clock = ManualClock::new();
    let builder = Limiter::builder().tokens_per_minute(200_000).clock(clock.clone());
    let model = builder.build().unwrap();
    let permit = model.try_acquire(1_000).unwrap();
    permit.observe([("x-ratelimit-limit-tokens", "1")]);
    permit.settle(900);
    // The estimate is lowered to what the server says, so that its next answer can teach better.
    clock.advance(Duration::from_secs(24 * 3_600));
    let permit = model.try_acquire(1_000).unwrap();
    permit.observe([("x-ratelimit-limit-tokens", "200000")]);
    permit.settle(900);
    clock.advance(Duration::from_secs(60));
    assert!(model.try_acquire(1_000).is_ok());
    model.observe_reply(&Reply::new(429).headers([("retry-after", "999999999")]));
    assert!(model.usage().paused_for.unwrap() <= Duration::from_secs(24 * 3_600));
    model.set_limits(Limits::new().tokens_per_minute(100_000)).unwrap();
    assert!(model.try_acquire(1_000).is_ok(), "new limits end the pause");
    model.try_acquire(1_000).unwrap().settle(u64::MAX);
    clock.advance(Duration::from_secs(11 * 60));
    assert!(model.try_acquire(1_000).is_ok(), "an absurd usage counts for ten minutes");
}

#[test]
fn one_overload_counts_once() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    let out: Vec<_> = (0..10).map(|_| model.try_acquire(1).unwrap()).collect();
    for permit in out {
        permit.limited([("x", "y")]);
    }
    let pause = model.usage().paused_for.unwrap();
    assert!(pause < Duration::from_secs(2), "{pause:?}");
    // An hour later it is another overload.
    for _ in 0..4 {
        clock.advance(Duration::from_secs(3_600));
        model.try_acquire(1).unwrap().limited([("x", "y")]);
        let pause = model.usage().paused_for.unwrap();
        assert!(pause < Duration::from_secs(2), "{pause:?}");
    }
}

#[test]
fn a_limit_that_alternates_costs_next_to_nothing() {
    let clock = ManualClock::new();
    let model = Limiter::builder().clock(clock.clone()).build().unwrap();
    model.observe([("x-ratelimit-limit-requests", "60")]);
    let (mut sent, mut flip) = (0_u64, false);
    for tick in 0..36_000 {
        clock.advance(Duration::from_millis(100));
        if tick % 10 == 0 {
            flip = !flip;
            model.observe([("x-ratelimit-limit-requests", if flip { "61" } else { "60" })]);
        }
        if let Ok(permit) = model.try_acquire(0) {
            sent += 1;
            permit.settle(0);
        }
    }
    assert!((3_600..=3_725).contains(&sent), "{sent} requests in an hour");
}

#[test]
fn of_an_account_and_its_project_the_stricter_counts_in_any_order() {
    for (account, project) in [("60000", "150000"), ("150000", "60000")] {
        let model = Limiter::builder().clock(ManualClock::new()).build().unwrap();
        let limit = || model.usage().limits.iter().map(|usage| usage.limit).min().unwrap();
        model.observe([
            ("x-ratelimit-limit-tokens", account),
            ("x-ratelimit-limit-project-tokens", project),
        ]);
        assert_eq!(limit(), 60_000);
        // Also where later answers tell of one of them only.
        model.observe([("x-ratelimit-limit-tokens", account)]);
        assert_eq!(limit(), 60_000);
        model.observe([("x-ratelimit-limit-project-tokens", project)]);
        assert_eq!(limit(), 60_000);
    }
}

#[test]
fn what_a_strict_limit_has_forgotten_is_not_given_back() {
    use tollgate::llm::Burst;
    let clock = ManualClock::new();
    for burst in [Burst::Strict, Burst::Full] {
        let limits = Limits::new().tokens_per_minute(1_000).burst(burst);
        let builder = Limiter::builder().limits(limits).clock(clock.clone());
        let model = builder.build().unwrap();
        let slow = model.try_acquire(1_000).unwrap();
        clock.advance(Duration::from_secs(90));
        let next = model.try_acquire(1_000).unwrap();
        slow.settle(0);
        assert!(model.try_acquire(1).is_err(), "{burst:?}: 2,000 at one instant");
        next.settle(400);
        assert!(model.try_acquire(600).is_ok(), "{burst:?}: what was not used comes back");
        assert!(model.try_acquire(1).is_err(), "{burst:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whoever an idle, open key could serve now is never refused because of those who wait for
    /// other keys.
    #[test]
    fn no_waiter_for_another_key_is_in_the_way(
        keys in prop::collection::vec((1_u64..100, 0_u64..100), 1..5),
        waiting in prop::collection::vec(1_u64..10_000, 0..6),
        ask in 1_u64..10_000,
    ) {
        let clock = ManualClock::new();
        let pool: Pool = KeyPool::builder().clock(clock).build();
        for (at, (size, pause)) in keys.iter().enumerate() {
            pool.add(at.to_string(), "", tpm(size * 100)).unwrap();
            if *pause > 50 {
                while let Ok(permit) = pool.try_acquire(0) {
                    if permit.id() == at.to_string() {
                        permit.limited([("retry-after", pause.to_string())]);
                        break;
                    }
                    permit.cancel();
                }
            }
        }
        let open = |size: u64, at: usize| keys[at].1 <= 50 && size <= keys[at].0 * 100;
        let idle = |size| (0..keys.len()).any(|at| open(size, at));
        // Only those wait whom no open key can serve: all open keys are idle, and stay so.
        let mut waits = Vec::new();
        for size in waiting.into_iter().filter(|size| !idle(*size)) {
            let able = keys.iter().any(|(key, _)| size <= key * 100);
            if able {
                waits.push(queued_at(&pool, size));
            }
        }
        prop_assert_eq!(pool.try_acquire(ask).is_ok(), idle(ask));
    }
}
