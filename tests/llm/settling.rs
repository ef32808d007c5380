//! What becomes of a permit: settled, cancelled, dropped or refused by the server.

use tollgate::ManualClock;
use tollgate::llm::{Burst, LimitKind, Limiter, Limits, OnDrop, Period, Tokens};

use crate::support::{
    METERED, NANO, OnManual, SECOND, just_before, left, limiter, refused_by, rpm, tpm, used,
};

const ESTIMATE: Tokens = Tokens::new(100, 50);

/// One of every limit, so that nothing escapes.
fn all(clock: &ManualClock) -> OnManual {
    let limits = METERED.into_iter().fold(Limits::new(), |limits, kind| limits.with(kind, 600));
    limiter(clock, limits.max_concurrent(10))
}

fn used_of_all(limiter: &OnManual) -> [u64; 6] {
    METERED.map(|kind| used(limiter, kind))
}

#[test]
fn settling_for_less_gives_the_difference_back_and_no_request() {
    let limiter = all(&ManualClock::new());
    let permit = limiter.try_acquire(ESTIMATE).unwrap();
    assert_eq!(used_of_all(&limiter), [1, 150, 100, 50, 1, 150]);
    permit.settle(Tokens::new(40, 10));
    assert_eq!(used_of_all(&limiter), [1, 50, 40, 10, 1, 50]);
}

#[test]
fn input_and_output_are_settled_each_for_itself() {
    let limiter = all(&ManualClock::new());
    limiter.try_acquire(ESTIMATE).unwrap().settle(Tokens::new(20, 90));
    assert_eq!(used_of_all(&limiter), [1, 110, 20, 90, 1, 110]);
}

#[test]
fn settling_for_more_than_there_is_is_a_debt_that_time_pays() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    limiter.try_acquire(600).unwrap().settle(650);
    assert_eq!(
        (
            used(&limiter, LimitKind::Tokens(Period::MINUTE)),
            left(&limiter, LimitKind::Tokens(Period::MINUTE))
        ),
        (650, 0)
    );
    // Ten a second: 50 owed, then what is asked for.
    assert_eq!(
        refused_by(limiter.try_acquire(20)),
        (LimitKind::Tokens(Period::MINUTE), Some(7 * SECOND))
    );
    assert_eq!(
        refused_by(limiter.try_acquire(0)),
        (LimitKind::Tokens(Period::MINUTE), Some(5 * SECOND))
    );
    clock.advance(just_before(7 * SECOND));
    assert!(limiter.try_acquire(20).is_err());
    clock.advance(NANO);
    assert!(limiter.try_acquire(20).is_ok());
}

#[test]
fn a_refund_never_makes_more_than_the_limit() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(600).unwrap();
    clock.advance(60 * SECOND);
    permit.settle(0);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 600);
    assert!(limiter.try_acquire(600).is_ok());
    assert!(limiter.try_acquire(1).is_err(), "the refund was for tokens that time gave back");
}

#[test]
fn cancelling_gives_everything_back() {
    let limiter = all(&ManualClock::new());
    let before = limiter.usage();
    limiter.try_acquire(ESTIMATE).unwrap().cancel();
    assert_eq!(limiter.usage(), before);
}

#[test]
fn a_dropped_permit_counts_in_full_unless_built_to_refund() {
    let clock = ManualClock::new();
    let limiter = all(&clock);
    drop(limiter.try_acquire(ESTIMATE).unwrap());
    assert_eq!(used_of_all(&limiter), [1, 150, 100, 50, 1, 150]);
    assert_eq!(limiter.usage().in_flight, 0);

    let refunding = Limiter::builder().limits(rpm(10).tokens_per_minute(600));
    let refunding = refunding.on_drop(OnDrop::Refund).clock(clock).build().unwrap();
    drop(refunding.try_acquire(ESTIMATE).unwrap());
    assert_eq!(used(&refunding, LimitKind::Tokens(Period::MINUTE)), 0);
    assert_eq!(used(&refunding, LimitKind::Requests(Period::MINUTE)), 0);
    assert_eq!(refunding.usage().in_flight, 0);
}

#[test]
fn a_request_that_the_server_refused_counts_but_its_tokens_do_not() {
    let limiter = all(&ManualClock::new());
    limiter.try_acquire(ESTIMATE).unwrap().limited([("retry-after", "1")]);
    assert_eq!(used_of_all(&limiter), [1, 0, 0, 0, 1, 0]);
}

#[test]
fn every_way_to_end_a_permit_ends_its_flight() {
    let clock = ManualClock::new();
    for on_drop in [OnDrop::Keep, OnDrop::Refund] {
        let limits = Limits::new().max_concurrent(1);
        let builder = Limiter::builder().limits(limits).on_drop(on_drop);
        let limiter = builder.clock(clock.clone()).build().unwrap();
        let take = || {
            let permit = limiter.try_acquire(ESTIMATE).unwrap();
            assert_eq!(limiter.usage().in_flight, 1);
            assert!(limiter.try_acquire(0).is_err());
            permit
        };
        take().settle(0);
        take().settle(ESTIMATE);
        take().settle(Tokens::new(1_000, 1_000));
        take().cancel();
        drop(take());
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _permit = take();
            std::panic::resume_unwind(Box::new("the request panics"));
        }));
        assert!(unwound.is_err());
        assert!(limiter.allow(), "and what is over at once");
        take().limited([("retry-after", "1")]);
        clock.advance(SECOND);
        assert!(take().estimate() == ESTIMATE);
    }
}

#[test]
fn tokens_used_without_a_permit_count_for_tokens_and_not_for_requests() {
    let limiter = all(&ManualClock::new());
    limiter.consume_tokens(Tokens::new(500, 200));
    assert_eq!(used_of_all(&limiter), [0, 700, 500, 200, 0, 700]);
    let (limit, wait) = refused_by(limiter.try_acquire(0));
    assert_eq!((limit, wait), (LimitKind::Tokens(Period::DAY), Some(100 * 144 * SECOND)));
}

#[test]
fn lower_limits_keep_what_was_used_and_settle_what_is_in_flight() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    let permit = limiter.try_acquire(400).unwrap();
    limiter.set_limits(tpm(300).requests_per_minute(10)).unwrap();
    // At most a full limit is in use, so that the wait for it is never longer than a minute.
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 300);
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 1, "it is in flight");
    permit.settle(100);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 200);
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 1);
}

#[test]
fn another_limit_keeps_what_was_used_however_much_may_come_at_once() {
    for burst in [Burst::Full, Burst::Percent(100), Burst::Strict] {
        for tokens in [300, 1_000] {
            let limiter = limiter(&ManualClock::new(), tpm(600).burst(burst));
            limiter.try_acquire(250).unwrap().settle(250);
            limiter.set_limits(tpm(tokens).burst(burst)).unwrap();
            assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 250, "{burst:?}");
            assert!(limiter.try_acquire(tokens - 249).is_err(), "{burst:?}");
            assert!(limiter.try_acquire(tokens - 250).is_ok(), "{burst:?}");
        }
        // A server's word does the same.
        let limiter = limiter(&ManualClock::new(), tpm(600).burst(burst));
        limiter.try_acquire(250).unwrap().settle(250);
        limiter.observe([("x-ratelimit-limit-tokens", "300")]);
        assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 50, "{burst:?}");
    }
}
