//! A server that says to wait: obeyed, and bounded.

use tollgate::ManualClock;
use tollgate::llm::{Error, LimitKind, Limiter, Limits};

use crate::support::{NANO, OnManual, SECOND, just_before, limited, limiter, queued, refused_by};

fn unlimited(clock: &ManualClock) -> OnManual {
    limiter(clock, Limits::new())
}

#[test]
fn nothing_goes_out_while_the_server_said_to_wait() {
    let clock = ManualClock::new();
    let limiter = unlimited(&clock);
    limited(&limiter, [("retry-after", "20")]);
    assert_eq!(refused_by(limiter.try_acquire(0)), (LimitKind::ServerWait, Some(20 * SECOND)));
    assert_eq!(limiter.usage().paused_for, Some(20 * SECOND));
    let mut waiting = queued(&limiter, 0);
    clock.advance(just_before(20 * SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert!(waiting.done().is_ok());
    assert_eq!(limiter.usage().paused_for, None);
}

#[test]
fn milliseconds_are_believed_before_seconds() {
    let clock = ManualClock::new();
    let limiter = unlimited(&clock);
    limited(&limiter, [("retry-after", "5"), ("retry-after-ms", "4321")]);
    let wait = std::time::Duration::from_millis(4_321);
    assert_eq!(limiter.delay_for(0), Ok(wait));
}

#[test]
fn a_shorter_wait_does_not_end_a_longer_one() {
    let clock = ManualClock::new();
    let limiter = unlimited(&clock);
    limited(&limiter, [("retry-after", "20")]);
    limited(&limiter, [("retry-after", "2")]);
    assert_eq!(limiter.delay_for(0), Ok(20 * SECOND));
}

#[test]
fn a_wait_beyond_the_bound_is_an_error_at_once_with_the_time() {
    let clock = ManualClock::new();
    let limiter = unlimited(&clock);
    limited(&limiter, [("retry-after", "120")]);
    assert!(limiter.delay_for(0).is_ok(), "the bound itself is waited for");
    limited(&limiter, [("retry-after", "121")]);
    let too_long = Error::ServerWait { retry_after: 121 * SECOND };
    assert_eq!(limiter.try_acquire(0).unwrap_err(), too_long);
    assert_eq!(limiter.wait(0).unwrap_err(), too_long);
    assert_eq!(limiter.wait_timeout(0, SECOND).unwrap_err(), too_long);
    assert_eq!(too_long.retry_after(), Some(121 * SECOND));
    clock.advance(SECOND);
    assert_eq!(refused_by(limiter.try_acquire(0)), (LimitKind::ServerWait, Some(120 * SECOND)));
}

#[test]
fn the_bound_is_the_builders() {
    let clock = ManualClock::new();
    let builder = Limiter::builder().max_server_wait(5 * SECOND);
    let limiter = builder.clock(clock.clone()).build().unwrap();
    limited(&limiter, [("retry-after", "6")]);
    assert_eq!(limiter.try_acquire(0).unwrap_err(), Error::ServerWait { retry_after: 6 * SECOND });
}

#[test]
fn those_who_wait_already_end_with_that_error_too() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new().requests_per_minute(1));
    assert!(limiter.allow());
    let mut waiting = [queued(&limiter, 0), queued(&limiter, 0)];
    limited(&limiter, [("retry-after", "3600")]);
    for task in &mut waiting {
        let too_long = Error::ServerWait { retry_after: 3_600 * SECOND };
        assert_eq!(task.done().map(drop), Err(too_long));
    }
    assert_eq!(limiter.usage().waiting, 0);
}

#[test]
fn those_who_wait_already_are_put_off_by_a_bearable_wait() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new().max_concurrent(1));
    let busy = limiter.try_acquire(0).unwrap();
    let mut waiting = queued(&limiter, 0);
    limited(&limiter, [("retry-after", "30")]);
    busy.settle(0);
    waiting.waits();
    clock.advance(just_before(30 * SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert!(waiting.done().is_ok());
}

#[test]
fn a_date_counts_from_the_servers_own() {
    let clock = ManualClock::new();
    let limiter = unlimited(&clock);
    limited(
        &limiter,
        [
            ("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT"),
            ("date", "Thu, 21 Aug 2025 12:41:00 GMT"),
        ],
    );
    assert_eq!(limiter.delay_for(0), Ok(30 * SECOND));
}
