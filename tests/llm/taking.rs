//! A request takes from all limits, or from none.

use tollgate::llm::{Burst, Error, LimitKind, Limiter, Limits, Period, Tokens};
use tollgate::{ManualClock, QuotaError};

use crate::support::{
    METERED, MINUTE, NANO, SECOND, just_before, limiter, refused_by, rpm, tpm, used,
};

const REQUEST: Tokens = Tokens::new(10, 5);

/// What one such request takes of a limit.
fn share(kind: LimitKind) -> u64 {
    match kind {
        LimitKind::Tokens(Period::MINUTE | Period::DAY) => 15,
        LimitKind::InputTokens(Period::MINUTE) => 10,
        LimitKind::OutputTokens(Period::MINUTE) => 5,
        _ => 1,
    }
}

/// All limits there are, far away but for one that lets one request pass.
fn all_but_one_far_away(near: LimitKind) -> Limits {
    let far = METERED.into_iter().fold(Limits::new(), |limits, kind| limits.with(kind, 1_000_000));
    far.max_concurrent(1_000_000).with(near, share(near))
}

#[test]
fn one_limit_that_refuses_leaves_all_the_others_untouched() {
    for kind in METERED.into_iter().chain([LimitKind::Concurrency]) {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, all_but_one_far_away(kind));
        let first = limiter.try_acquire(REQUEST).unwrap();
        let before = limiter.usage();
        let (limit, _) = refused_by(limiter.try_acquire(REQUEST));
        assert_eq!(limit, kind);
        assert_eq!(limiter.usage(), before, "{kind}");
        drop(first);
    }
}

#[test]
fn the_time_to_retry_is_exact_for_every_limit() {
    for kind in METERED {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, all_but_one_far_away(kind));
        limiter.try_acquire(REQUEST).unwrap().settle(REQUEST);
        let (_, wait) = refused_by(limiter.try_acquire(REQUEST));
        let period = match kind {
            LimitKind::Requests(Period::DAY) | LimitKind::Tokens(Period::DAY) => 24 * 60 * MINUTE,
            _ => MINUTE,
        };
        assert_eq!(wait, Some(period), "{kind}: all of it was taken");
        assert_eq!(limiter.delay_for(REQUEST), Ok(period));
        clock.advance(just_before(period));
        assert_eq!(refused_by(limiter.try_acquire(REQUEST)), (kind, Some(NANO)));
        clock.advance(NANO);
        assert!(limiter.try_acquire(REQUEST).is_ok(), "{kind}");
    }
}

#[test]
fn of_several_limits_that_refuse_the_slowest_is_named() {
    let clock = ManualClock::new();
    // A request a second, and ten tokens a second.
    let limiter = limiter(&clock, rpm(60).tokens_per_minute(600));
    for _ in 0..60 {
        limiter.try_acquire(10).unwrap().settle(10);
    }
    assert_eq!(
        refused_by(limiter.try_acquire(5)),
        (LimitKind::Requests(Period::MINUTE), Some(SECOND))
    );
    assert_eq!(
        refused_by(limiter.try_acquire(50)),
        (LimitKind::Tokens(Period::MINUTE), Some(5 * SECOND))
    );
    clock.advance(SECOND);
    assert_eq!(
        refused_by(limiter.try_acquire(50)),
        (LimitKind::Tokens(Period::MINUTE), Some(4 * SECOND))
    );
}

#[test]
fn a_request_in_flight_makes_the_time_to_retry_unknown() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600).max_concurrent(1));
    let first = limiter.try_acquire(600).unwrap();
    assert_eq!(refused_by(limiter.try_acquire(1)), (LimitKind::Concurrency, None));
    assert!(limiter.delay_for(1).is_err());
    first.settle(600);
    assert_eq!(
        refused_by(limiter.try_acquire(10)),
        (LimitKind::Tokens(Period::MINUTE), Some(SECOND))
    );
    assert_eq!(limiter.delay_for(10), Ok(SECOND));
}

#[test]
fn an_estimate_above_a_limit_is_never_at_once_and_takes_nothing() {
    let clock = ManualClock::new();
    let limits = tpm(600).input_tokens_per_minute(400).tokens_per_day(500);
    let limiter = limiter(&clock, limits);
    let never = |tokens: Tokens, limit, requested, most| {
        let expected = Error::Never { limit, requested, most };
        assert_eq!(limiter.try_acquire(tokens).unwrap_err(), expected);
        assert_eq!(limiter.wait(tokens).unwrap_err(), expected);
        assert_eq!(limiter.wait_timeout(tokens, MINUTE).unwrap_err(), expected);
        assert_eq!(limiter.delay_for(tokens).unwrap_err(), expected);
        assert_eq!(expected.retry_after(), None);
    };
    never(Tokens::new(300, 301), LimitKind::Tokens(Period::MINUTE), 601, 600);
    never(Tokens::new(401, 0), LimitKind::InputTokens(Period::MINUTE), 401, 400);
    never(Tokens::new(300, 201), LimitKind::Tokens(Period::DAY), 501, 500);
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 0);
    assert!(limiter.try_acquire(Tokens::new(400, 100)).is_ok(), "just all of it");
}

#[test]
fn a_clamped_estimate_asks_for_all_of_a_limit_and_owes_the_rest() {
    let clock = ManualClock::new();
    let limits = tpm(600).output_tokens_per_minute(100);
    let builder = tollgate::llm::Limiter::builder().limits(limits).clamp_estimates();
    let limiter = builder.clock(clock.clone()).build().unwrap();
    let permit = limiter.try_acquire(Tokens::new(550, 4_096)).unwrap();
    assert_eq!(permit.estimate(), Tokens::new(550, 50));
    permit.settle(Tokens::new(550, 350));
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 900, "300 are owed");
    assert_eq!(used(&limiter, LimitKind::OutputTokens(Period::MINUTE)), 350);
    // 250 + 1 tokens of output at 100 a minute take longer than 300 + 1 at 600.
    let (limit, wait) = refused_by(limiter.try_acquire(Tokens::new(0, 1)));
    assert_eq!(
        (limit, wait),
        (LimitKind::OutputTokens(Period::MINUTE), Some(251 * 600 * SECOND / 1_000))
    );
}

#[test]
fn zero_is_no_limit() {
    let clock = ManualClock::new();
    let zeroes = METERED.into_iter().fold(Limits::new(), |limits, kind| limits.with(kind, 0));
    let limiter = limiter(&clock, zeroes.max_concurrent(0));
    assert!((0..1_000).all(|_| limiter.allow()));
    assert_eq!(limiter.usage().limits, []);
    assert!(limiter.try_acquire(u64::MAX).is_ok());
}

#[test]
fn a_minute_may_come_at_once_unless_built_otherwise() {
    for (burst, at_once, next) in [
        (Burst::Full, 60, SECOND),
        (Burst::Percent(10), 6, SECOND),
        (Burst::Percent(0), 1, SECOND),
        (Burst::Strict, 60, MINUTE),
    ] {
        let clock = ManualClock::new();
        let limiter = limiter(&clock, rpm(60).burst(burst));
        let passed = (0..100).filter(|_| limiter.allow()).count();
        assert_eq!(passed, at_once, "{burst:?}");
        assert_eq!(limiter.delay_for(0), Ok(next), "{burst:?}");
    }
}

#[test]
fn a_burst_of_more_than_all_is_an_error_also_where_limits_are_learned() {
    let limits = Limits::new().burst(Burst::Percent(101));
    let error = Limiter::builder().limits(limits).build().unwrap_err();
    assert!(matches!(error, QuotaError::OutOfRange { given: 101, most: 100, .. }), "{error}");
}

#[test]
fn a_closed_limiter_refuses_everybody() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, rpm(60));
    limiter.close();
    assert_eq!(limiter.try_acquire(0).unwrap_err(), Error::Closed);
    assert_eq!(limiter.wait(0).unwrap_err(), Error::Closed);
    assert!(!limiter.allow());
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 0);
}
