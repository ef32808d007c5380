//! Keys that the server refused: they rest, or are taken out.

use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{Error, LimitKind, Limits, Period};

use crate::support::{MINUTE, NANO, Pool, SECOND, ids, just_before, pool, queued_at, refused_by};

const SILENT: [(&str, &str); 0] = [];

fn unlimited(clock: &ManualClock, ids: &[&'static str]) -> Pool {
    let pool = pool(clock);
    for id in ids {
        pool.add(*id, *id, Limits::new()).unwrap();
    }
    pool
}

/// How long the only key rests after one more 429 that says nothing.
fn rest_after_a_silent_429(clock: &ManualClock, pool: &Pool) -> Duration {
    pool.try_acquire(0).unwrap().limited(SILENT);
    let rest = pool.usage("a").unwrap().paused_for.unwrap();
    clock.advance(rest);
    rest
}

#[test]
fn a_429_rests_its_key_for_as_long_as_the_server_said() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a", "b"]);
    let permit = pool.try_acquire(0).unwrap();
    assert_eq!(permit.id(), "a");
    permit.limited([("retry-after-ms", "2500")]);
    assert_eq!(ids(&pool, 0, 3), ["b"; 3]);
    clock.advance(Duration::from_millis(2_500));
    assert_eq!(ids(&pool, 0, 1), ["a"]);
}

#[test]
fn when_all_keys_rest_the_error_says_when_the_first_is_back() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a", "b", "c"]);
    for wait in ["30", "10", "20"] {
        pool.try_acquire(0).unwrap().limited([("retry-after", wait)]);
    }
    assert_eq!(refused_by(pool.try_acquire(0)), (LimitKind::ServerWait, Some(10 * SECOND)));
    let mut waiting = queued_at(&pool, 0);
    clock.advance(just_before(10 * SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert_eq!(waiting.done().unwrap().id(), "b");
}

#[test]
fn when_all_keys_rest_for_too_long_waits_end() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a", "b"]);
    let (a, b) = (pool.try_acquire(0).unwrap(), pool.try_acquire(0).unwrap());
    a.limited([("retry-after", "10")]);
    b.limited([("retry-after", "3600")]);
    let mut waiting = queued_at(&pool, 0);
    clock.advance(10 * SECOND);
    let permit = waiting.done().unwrap();
    assert_eq!(permit.id(), "a");
    permit.limited([("retry-after", "500")]);
    let too_long = Err(Error::ServerWait { retry_after: 500 * SECOND });
    assert_eq!(pool.try_acquire(0).map(drop), too_long);
}

#[test]
fn silent_429s_rest_a_key_longer_each_time_up_to_a_minute() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a"]);
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        let rest = rest_after_a_silent_429(&clock, &pool);
        let wait = wait * SECOND;
        assert!(rest >= wait && rest < wait + wait / 4 + NANO, "{wait:?}: {rest:?}");
    }
}

#[test]
fn jitter_keeps_keys_apart() {
    let clock = ManualClock::new();
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let pool = unlimited(&clock, &names);
    for _ in names {
        pool.try_acquire(0).unwrap().limited(SILENT);
    }
    let mut rests: Vec<_> = names.map(|id| pool.usage(id).unwrap().paused_for.unwrap()).into();
    rests.sort();
    rests.dedup();
    assert!(rests.len() > 1, "{rests:?}");
}

#[test]
fn a_request_that_goes_well_ends_the_growth() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a"]);
    for _ in 0..5 {
        rest_after_a_silent_429(&clock, &pool);
    }
    pool.try_acquire(0).unwrap().settle(0);
    assert!(rest_after_a_silent_429(&clock, &pool) < 2 * SECOND);
}

#[test]
fn a_request_that_nobody_knows_the_end_of_does_not() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a"]);
    rest_after_a_silent_429(&clock, &pool);
    drop(pool.try_acquire(0).unwrap());
    assert!(rest_after_a_silent_429(&clock, &pool) >= 2 * SECOND);
}

#[test]
fn a_429_that_says_to_wait_no_time_still_rests_its_key() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a"]);
    pool.try_acquire(0).unwrap().limited([("retry-after", "0")]);
    assert!(pool.usage("a").unwrap().paused_for >= Some(SECOND));
}

#[test]
fn keys_that_share_an_account_rest_as_one() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a"]);
    pool.add_sharing("a", "b", "b").unwrap();
    pool.add("c", "c", Limits::new()).unwrap();
    pool.try_acquire(0).unwrap().limited([("retry-after", "10")]);
    assert_eq!(ids(&pool, 0, 3), ["c"; 3]);
    assert_eq!(pool.usage("b").unwrap().paused_for, Some(10 * SECOND));
    clock.advance(10 * SECOND);
    assert!(ids(&pool, 0, 3).iter().any(|id| id == "b"));
}

#[test]
fn a_401_takes_its_key_out_and_gives_everything_back() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("revoked", "", Limits::new().tokens_per_minute(100)).unwrap();
    pool.add("good", "", Limits::new().tokens_per_minute(100)).unwrap();
    let permit = pool.try_acquire(50).unwrap();
    assert_eq!(permit.id(), "revoked");
    permit.unauthorized();
    assert_eq!(ids(&pool, 10, 3), ["good"; 3]);
    let usage = pool.usage("revoked").unwrap();
    assert_eq!(
        (usage.of(LimitKind::Tokens(Period::MINUTE)).unwrap().used, usage.in_flight),
        (0, 0)
    );
    assert_eq!(pool.ids().len(), 2, "it is still known");
}

#[test]
fn a_key_is_restored_with_its_use_and_without_its_rest() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", Limits::new().tokens_per_minute(600)).unwrap();
    pool.try_acquire(200).unwrap().settle(200);
    let held = pool.try_acquire(100).unwrap();
    pool.try_acquire(0).unwrap().limited([("retry-after", "60")]);
    held.unauthorized();
    assert_eq!(pool.try_acquire(0).map(drop), Err(Error::NoKeys));
    assert!(pool.restore("a"));
    let usage = pool.usage("a").unwrap();
    assert_eq!((usage.paused_for, usage.in_flight), (None, 0));
    assert_eq!(usage.of(LimitKind::Tokens(Period::MINUTE)).unwrap().used, 200);
    assert!(pool.try_acquire(400).is_ok());
}

#[test]
fn restoring_a_key_serves_those_who_wait() {
    let clock = ManualClock::new();
    let pool = unlimited(&clock, &["a", "b"]);
    pool.try_acquire(0).unwrap().unauthorized();
    pool.try_acquire(0).unwrap().limited([("retry-after", "60")]);
    let mut waiting = queued_at(&pool, 0);
    assert!(pool.restore("a"));
    assert_eq!(waiting.done().unwrap().id(), "a");
    clock.advance(MINUTE);
}

#[test]
fn a_key_taken_out_while_others_wait_serves_nobody() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", Limits::new().max_concurrent(1)).unwrap();
    pool.add("b", "", Limits::new().max_concurrent(1)).unwrap();
    let (a, b) = (pool.try_acquire(0).unwrap(), pool.try_acquire(0).unwrap());
    let mut waiting = queued_at(&pool, 0);
    a.unauthorized();
    waiting.waits();
    b.settle(0);
    assert_eq!(waiting.done().unwrap().id(), "b");
}
