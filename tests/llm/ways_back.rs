//! One mistaken or hostile answer must not end a client, and there are ways back.

use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{Error, LimitKind, Limits, Period};

use crate::support::{MINUTE, SECOND, limited, limiter, pool, queued, queued_at, tpm, used};

const TOKENS: &str = "x-ratelimit-limit-tokens";
const PROJECT: &str = "x-ratelimit-limit-project-tokens";
const PROJECT_PERIOD: &str = "x-ratelimit-renewalperiod-project-tokens";

fn learned(answers: &[&[(&str, &str)]]) -> u64 {
    let limiter = limiter(&ManualClock::new(), Limits::new());
    for answer in answers {
        limiter.observe(answer.iter().copied());
    }
    // Both are limits in tokens, and both are in force.
    limiter.usage().limits.iter().map(|usage| usage.limit).min().unwrap()
}

#[test]
fn of_account_and_project_the_stricter_counts_in_any_order() {
    for (account, project) in [("60000", "150000"), ("150000", "60000")] {
        let (account, project) = ((TOKENS, account), (PROJECT, project));
        assert_eq!(learned(&[&[account, project]]), 60_000);
        assert_eq!(learned(&[&[project, account]]), 60_000);
        assert_eq!(learned(&[&[account], &[project]]), 60_000);
        assert_eq!(learned(&[&[project], &[account]]), 60_000);
        assert_eq!(learned(&[&[account, project], &[account]]), 60_000);
        assert_eq!(learned(&[&[account, project], &[project]]), 60_000);
    }
    let strict = [(TOKENS, "150000"), (PROJECT, "60000")];
    assert_eq!(learned(&[&strict, &[(PROJECT, "90000")]]), 90_000, "each follows the server");
    // A limit per 10 s is one of its own.
    let other = [(TOKENS, "150000"), (PROJECT, "10"), (PROJECT_PERIOD, "10")];
    assert_eq!(learned(&[&other]), 10);
}

#[test]
fn a_limit_too_low_for_any_request_lets_requests_go_on() {
    for limit in ["0", "1", "3"] {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, Limits::new());
        limiter.observe([(TOKENS, limit)]);
        limiter.try_acquire(5_000).unwrap().settle(0);
        let error = limiter.try_acquire(5_000).err();
        assert!(!matches!(error, Some(Error::Never { .. })), "{error:?}");
        limiter.observe([(TOKENS, "200000")]);
        assert!(limiter.try_acquire(5_000).is_ok(), "the server has corrected itself");
    }
}

#[test]
fn an_endless_pause_ends_within_a_day_or_by_hand() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new());
    limited(&limiter, [("retry-after", "999999999")]);
    assert_eq!(limiter.usage().paused_for, Some(24 * 60 * MINUTE));
    limiter.resume();
    assert!(limiter.try_acquire(0).is_ok());
    for way in 0..3 {
        limited(&limiter, [("retry-after", "999999999"), (TOKENS, "1")]);
        assert!(limiter.try_acquire(0).is_err());
        match way {
            0 => limiter.forget_learned(),
            1 => limiter.set_limits(Limits::new()).unwrap(),
            _ => clock.advance(24 * 60 * MINUTE),
        }
        assert!(limiter.try_acquire(0).is_ok(), "way {way}");
    }
}

#[test]
fn a_key_of_a_pool_has_the_same_ways_back() {
    let pool = pool(&ManualClock::new());
    pool.add("a", "", tpm(1_000)).unwrap();
    let pause = || {
        let permit = pool.try_acquire(0).unwrap();
        permit.limited([("retry-after", "86400"), (TOKENS, "1")]);
        assert!(pool.try_acquire(0).is_err());
    };
    pause();
    assert!(pool.forget_learned("a"));
    pause();
    assert!(pool.restore("a"));
    pause();
    pool.set_limits("a", tpm(1_000)).unwrap();
    assert!(pool.try_acquire(900).is_ok());
    assert!(!pool.forget_learned("b"));
}

#[test]
fn an_absurd_usage_costs_minutes_and_not_years() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(1_000));
    limiter.try_acquire(10).unwrap().settle(1_000_000_000_000);
    assert!(used(&limiter, LimitKind::Tokens(Period::MINUTE)) <= 12_000);
    clock.advance(12 * MINUTE);
    assert!(limiter.try_acquire(1_000).is_ok());
}

/// The period of this limit is a guess, so a request a minute asks whether it is right. A charge
/// for what a request used beyond its estimate asks nothing, and so does not put that off.
#[test]
fn an_absurd_usage_does_not_put_off_the_question_whether_a_period_is_right() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new());
    let said = |remaining| [(TOKENS, "1000"), ("x-ratelimit-remaining-tokens", remaining)];
    let reset = ("x-ratelimit-reset-tokens", "6h");
    limiter.observe(said("990").into_iter().chain([reset]));
    let permit = limiter.try_acquire(10).unwrap();
    permit.observe(said("980"));
    permit.settle(5_000);
    assert!(limiter.try_acquire(10).is_err());
    clock.advance(60 * MINUTE);
    limiter.try_acquire(10).unwrap().settle(10);
    assert!(limiter.try_acquire(10).is_err(), "one request, and not more");
}

#[test]
fn refusals_of_one_overload_are_one() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", Limits::new()).unwrap();
    let out: Vec<_> = (0..10).map(|_| pool.try_acquire(0).unwrap()).collect();
    for permit in out {
        clock.advance(Duration::from_millis(20));
        permit.limited([("x", "")]);
    }
    let rest = pool.usage("a").unwrap().paused_for.unwrap();
    assert!(rest <= 2 * SECOND, "{rest:?}");
}

#[test]
fn a_limit_that_alternates_takes_nothing_each_time() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new());
    limiter.observe([("x-ratelimit-limit-requests", "60")]);
    let mut passed = 0;
    for tenth in 0..36_000_u32 {
        let limit = if tenth % 2 == 0 { "61" } else { "60" };
        limiter.observe([("x-ratelimit-limit-requests", limit)]);
        passed += u32::from(limiter.allow());
        clock.advance(Duration::from_millis(100));
    }
    assert!((3_600..=3_730).contains(&passed), "{passed}");
}

#[test]
fn who_waits_behind_an_answer_that_says_what_is_known_is_not_woken() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new());
    let both = [(TOKENS, "60"), (PROJECT, "600")];
    limiter.observe(both);
    limiter.consume_tokens(60);
    let (first, second) = (queued(&limiter, 30), queued(&limiter, 1));
    limiter.observe(both);
    assert!(!first.is_woken() && !second.is_woken());
}

#[test]
fn who_can_be_served_by_no_open_key_is_told_and_others_go_on() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("small", "", tpm(10_000)).unwrap();
    pool.add("large", "", tpm(200_000)).unwrap();
    let blocker = pool.try_acquire(200_000).unwrap();
    assert_eq!(blocker.id(), "large");
    let mut waiting = queued_at(&pool, 50_000);
    blocker.limited([("retry-after", "86400")]);
    let told = Error::ServerWait { retry_after: 24 * 60 * MINUTE };
    assert_eq!(waiting.done().map(drop), Err(told));
    assert_eq!(pool.try_acquire(50_000).map(drop), Err(told));
    assert_eq!(pool.try_acquire(1).unwrap().id(), "small");
}

#[test]
fn the_last_key_that_a_server_refuses_ends_all_waits() {
    let clock = ManualClock::new();
    let pool = pool(&clock);
    pool.add("a", "", Limits::new().max_concurrent(1)).unwrap();
    let permit = pool.try_acquire(0).unwrap();
    let mut waiting = [queued_at(&pool, 0), queued_at(&pool, 5)];
    permit.unauthorized();
    for waiting in &mut waiting {
        assert_eq!(waiting.done().map(drop), Err(Error::NoKeys));
    }
}
