//! Requests that end late: nothing that has been refilled meanwhile is given back once more.

use std::time::Duration;

use tollgate::ManualClock;
use tollgate::llm::{Burst, LimitKind, Limits, Period};

use crate::support::{MINUTE, OnManual, SECOND, limiter, tpm};

/// Takes as many tokens at one instant as the limiter lets pass.
fn at_one_instant(limiter: &OnManual) -> u64 {
    let mut all = 0;
    for tokens in [500, 100, 10, 1] {
        while let Ok(permit) = limiter.try_acquire(tokens) {
            permit.settle(tokens);
            all += tokens;
        }
    }
    all
}

fn modes() -> [Limits; 3] {
    [Burst::Full, Burst::Percent(50), Burst::Strict].map(|burst| tpm(1_000).burst(burst))
}

#[test]
fn a_request_longer_than_the_window_gives_nothing_back() {
    for limits in modes() {
        for end in 0..3 {
            let clock = ManualClock::new();
            let limiter = limiter(&clock, limits);
            let permit = limiter.try_acquire(500).unwrap();
            clock.advance(Duration::from_secs(130));
            let before = at_one_instant(&limiter);
            match end {
                0 => permit.settle(0),
                1 => permit.cancel(),
                _ => permit.limited([("retry-after", "0.001")]),
            }
            limiter.resume();
            assert_eq!(at_one_instant(&limiter), 0, "{limits:?}, end {end}, {before} before");
        }
    }
}

#[test]
fn a_short_request_gives_all_back() {
    for limits in modes() {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, limits);
        let permit = limiter.try_acquire(500).unwrap();
        permit.settle(100);
        assert_eq!(
            limiter.usage().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used,
            100,
            "{limits:?}"
        );
    }
}

#[test]
fn a_request_that_half_came_back_gives_back_the_other_half() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(600).unwrap();
    clock.advance(30 * SECOND);
    permit.settle(0);
    assert_eq!(limiter.usage().of(LimitKind::Tokens(Period::MINUTE)).unwrap().used, 0);
    assert_eq!(at_one_instant(&limiter), 600);
}

#[test]
fn a_limit_that_was_learned_meanwhile_changes_nothing_of_that() {
    for limits in modes() {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, limits);
        let permit = limiter.try_acquire(500).unwrap();
        clock.advance(MINUTE + MINUTE);
        limiter.observe([("x-ratelimit-limit-tokens", "900")]);
        let first = at_one_instant(&limiter);
        permit.settle(0);
        assert_eq!(at_one_instant(&limiter), 0, "{limits:?}, {first} before");
    }
}
