//! A server that refuses and states no limit: what it admitted before is the limit for a while.

use std::time::{Duration, SystemTime};

use tollgate::ManualClock;
use tollgate::llm::{LimitKind, Limiter, Limits, Period, Reply};

use crate::restarting::stored;
use crate::support::{OnManual, SECOND, limiter, rpm};

const MINUTE: LimitKind = LimitKind::Requests(Period::MINUTE);

fn unlimited() -> OnManual {
    limiter(&ManualClock::new(), Limits::new())
}

fn limit(limiter: &OnManual) -> Option<u64> {
    limiter.usage().of(MINUTE).map(|usage| usage.limit)
}

/// Sends as many requests as may be now, up to `most`, and returns how many.
fn send(limiter: &OnManual, most: usize) -> usize {
    let permits = std::iter::from_fn(|| limiter.try_acquire(0).ok());
    permits.take(most).map(|permit| permit.settle(0)).count()
}

/// A request that is refused, with a pause of a second.
fn refuse(limiter: &OnManual) {
    limiter.try_acquire(0).unwrap().end(&Reply::new(429).limited_for(SECOND));
}

#[test]
fn what_was_admitted_in_the_last_minute_is_the_limit() {
    let limiter = unlimited();
    assert_eq!(send(&limiter, 30), 30);
    refuse(&limiter);
    assert_eq!(limit(&limiter), Some(30));
    limiter.clock().advance(30 * SECOND);
    assert_eq!(send(&limiter, 100), 0, "30 were admitted less than a minute ago");
    limiter.clock().advance(31 * SECOND);
    assert_eq!(send(&limiter, 100), 33, "an eighth more after a minute");
    assert_eq!(limit(&limiter), Some(33));
}

#[test]
fn it_grows_by_an_eighth_and_more_slowly_after_each_refusal() {
    let limiter = unlimited();
    send(&limiter, 32);
    refuse(&limiter);
    for expected in [32, 36, 40, 45] {
        assert_eq!(limit(&limiter), Some(expected));
        limiter.clock().advance(61 * SECOND);
        send(&limiter, 100);
    }
    limiter.clock().advance(61 * SECOND);
    send(&limiter, 40);
    refuse(&limiter);
    // 40 of that minute were admitted; two minutes pass before it grows.
    for expected in [40, 40, 45] {
        assert_eq!(limit(&limiter), Some(expected));
        limiter.clock().advance(61 * SECOND);
        send(&limiter, 100);
    }
}

#[test]
fn refusals_of_requests_that_were_in_flight_together_are_one() {
    let limiter = unlimited();
    let permits: Vec<_> = (0..40).map(|_| limiter.try_acquire(0).unwrap()).collect();
    for permit in permits {
        // The server admits 30 of them, whichever they are.
        match limiter.usage().in_flight {
            11.. => permit.settle(0),
            _ => permit.end(&Reply::new(429).limited_for(SECOND)),
        }
    }
    assert_eq!(limit(&limiter), Some(30));
    limiter.clock().advance(61 * SECOND);
    send(&limiter, 100);
    assert_eq!(limit(&limiter), Some(33), "it grows after a minute, and not after two");
}

#[test]
fn a_refusal_halves_it_at_most() {
    let limiter = unlimited();
    send(&limiter, 60);
    refuse(&limiter);
    limiter.clock().advance(200 * SECOND);
    // An overload for a moment: nothing was admitted in the last minute.
    refuse(&limiter);
    assert_eq!(limit(&limiter), Some(30));
}

#[test]
fn it_ends_with_a_stated_limit_and_an_hour_after_the_last_refusal() {
    let stated = unlimited();
    send(&stated, 10);
    refuse(&stated);
    assert_eq!(limit(&stated), Some(10));
    stated.observe([("x-ratelimit-limit-tokens", "5000")]);
    assert_eq!(limit(&stated), None);

    let silent = unlimited();
    send(&silent, 10);
    refuse(&silent);
    silent.clock().advance(Duration::from_secs(3_601));
    send(&silent, 1);
    assert_eq!(limit(&silent), None);
    assert_eq!(send(&silent, 1_000), 1_000);
}

#[test]
fn a_few_requests_show_no_limit() {
    let limiter = unlimited();
    send(&limiter, 4);
    refuse(&limiter);
    assert_eq!(limit(&limiter), None);
    limiter.clock().advance(SECOND);
    assert_eq!(send(&limiter, 100), 100);
}

#[test]
fn limits_that_are_known_are_not_doubted() {
    let configured = limiter(&ManualClock::new(), rpm(100));
    send(&configured, 10);
    refuse(&configured);
    assert_eq!(limit(&configured), Some(100));

    let learned = unlimited();
    learned.observe([("x-ratelimit-limit-requests-minute", "100")]);
    send(&learned, 10);
    refuse(&learned);
    assert_eq!(limit(&learned), Some(100));
}

#[test]
fn it_can_be_turned_off_and_forgotten() {
    let builder = Limiter::builder().clock(ManualClock::new());
    let off = builder.provisional_limit(false).build().unwrap();
    send(&off, 10);
    refuse(&off);
    assert_eq!(limit(&off), None);

    let forgotten = unlimited();
    send(&forgotten, 10);
    refuse(&forgotten);
    forgotten.forget_learned();
    assert_eq!(limit(&forgotten), None);
}

#[test]
fn it_goes_on_after_a_restart_with_all_that_was_sent() {
    let before = unlimited();
    send(&before, 32);
    refuse(&before);
    before.clock().advance(20 * SECOND);
    let after = unlimited();
    let restore = |pause| {
        let state = stored(&before.state_at(SystemTime::UNIX_EPOCH));
        after.restore_state_at(&state, SystemTime::UNIX_EPOCH + pause).unwrap();
    };
    restore(20 * SECOND);
    assert_eq!((limit(&after), send(&after, 100)), (Some(32), 0));
    // Another refusal lowers it to half at most, and what was sent before still counts.
    after.observe_reply(&Reply::new(429).limited_for(SECOND));
    after.clock().advance(15 * SECOND);
    assert_eq!((limit(&after), send(&after, 100)), (Some(16), 0));
    after.clock().advance(10 * SECOND);
    assert_eq!(send(&after, 100), 16);
    // A state does not raise it.
    restore(20 * SECOND);
    assert_eq!(limit(&after), Some(16));
}

#[test]
fn a_restart_with_another_option_ends_it() {
    let before = unlimited();
    send(&before, 32);
    refuse(&before);
    let state = stored(&before.state_at(SystemTime::UNIX_EPOCH));
    let builder = Limiter::builder().provisional_limit(false).clock(ManualClock::new());
    let after = builder.build().unwrap();
    after.restore_state_at(&state, SystemTime::UNIX_EPOCH + 60 * SECOND).unwrap();
    assert_eq!((limit(&after), send(&after, 100)), (None, 100));
}
