//! A limiter goes on where the one before the restart ended.

mod pools;
mod twins;
#[cfg(feature = "serde")]
mod written;

use std::time::{Duration, SystemTime};

use tollgate::ManualClock;
use tollgate::llm::{Burst, LimitKind, LimiterState, Limits, Period, Reply};

use crate::support::{MINUTE, OnManual, SECOND, left, limiter, rpm, tpm, used};

const REQUESTS: LimitKind = LimitKind::Requests(Period::MINUTE);
const TOKENS: LimitKind = LimitKind::Tokens(Period::MINUTE);
const DAILY: LimitKind = LimitKind::Requests(Period::DAY);

/// The time by the system's clock when a state is taken.
fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// The state as a new process reads it: with `serde`, it was written and read again.
pub(crate) fn stored(state: &LimiterState) -> LimiterState {
    #[cfg(feature = "serde")]
    return serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
    #[cfg(not(feature = "serde"))]
    return state.clone();
}

/// A new limiter, on a clock that begins anew, that goes on from this one after `pause`.
fn restarted(before: &OnManual, limits: Limits, pause: Duration) -> (OnManual, ManualClock) {
    let state = stored(&before.state_at(start()));
    let clock = ManualClock::new();
    let after = limiter(&clock, limits);
    after.restore_state_at(&state, start() + pause).unwrap();
    (after, clock)
}

fn take(limiter: &OnManual, requests: u64, tokens: u64) {
    for _ in 0..requests {
        limiter.try_acquire(tokens).unwrap().settle(tokens);
    }
}

#[test]
fn an_even_limit_has_been_refilled_meanwhile() {
    let clock = ManualClock::new();
    let before = limiter(&clock, rpm(60));
    take(&before, 30, 0);
    clock.advance(Duration::from_millis(500));
    for (pause, in_use) in [(0, 30), (10, 20), (29, 1), (30, 0), (1_000_000, 0)] {
        let (after, clock) = restarted(&before, rpm(60), SECOND * pause);
        assert_eq!(used(&after, REQUESTS), in_use);
        // To the millisecond: half of a request was refilled before.
        clock.advance(Duration::from_millis(500));
        assert_eq!(used(&after, REQUESTS), in_use.saturating_sub(1));
    }
}

#[test]
fn a_clock_that_steps_back_counts_as_no_time() {
    let before = limiter(&ManualClock::new(), rpm(60));
    take(&before, 30, 0);
    let after = limiter(&ManualClock::new(), rpm(60));
    let hour_before = start() - MINUTE * 60;
    after.restore_state_at(&before.state_at(start()), hour_before).unwrap();
    assert_eq!(used(&after, REQUESTS), 30);
    // Restoring it again takes nothing, and gives nothing back.
    after.restore_state_at(&before.state_at(start()), hour_before).unwrap();
    after.restore_state_at(&before.state_at(start()), start() + MINUTE).unwrap();
    assert_eq!(used(&after, REQUESTS), 30);
}

#[test]
fn a_strict_limit_forgets_each_request_in_time_however_often_it_restarts() {
    let limits = Limits::new().requests_per_day(100).burst(Burst::Strict);
    let mut clock = ManualClock::new();
    let mut model = limiter(&clock, limits);
    let hour = MINUTE * 60;
    // A restart each hour, with a clock that begins anew each time.
    for hours in 1..=60 {
        take(&model, 4, 0);
        clock.advance(hour / 2);
        (model, clock) = restarted(&model, limits, hour / 2);
        // A request counts up to 1/64 of a day longer.
        let expected = 4 * hours.min(24);
        assert!((expected - 4..=expected).contains(&used(&model, DAILY)), "{hours}");
    }
}

#[test]
fn requests_in_flight_count_as_used() {
    let before = limiter(&ManualClock::new(), tpm(1_000));
    let _open = before.try_acquire(400).unwrap();
    let (after, _) = restarted(&before, tpm(1_000), Duration::ZERO);
    assert_eq!((left(&after, TOKENS), after.usage().in_flight), (600, 0));
}

#[test]
fn debt_is_still_owed() {
    let before = limiter(&ManualClock::new(), tpm(600));
    before.try_acquire(600).unwrap().settle(1_800);
    let (after, clock) = restarted(&before, tpm(600), MINUTE);
    assert_eq!((used(&after, TOKENS), left(&after, TOKENS)), (1_200, 0));
    clock.advance(MINUTE * 2);
    assert_eq!(used(&after, TOKENS), 0);
}

/// A response of Groq, which states no period: 1,000 requests a day.
fn groq(remaining: &str, reset: &str) -> Reply {
    Reply::new(200).headers([
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", reset),
    ])
}

#[test]
fn what_was_learned_is_known_and_learning_goes_on() {
    let clock = ManualClock::new();
    let before = limiter(&clock, Limits::new());
    before.observe_reply(&groq("999", "1m26.4s"));
    before.observe_reply(&groq("998", "2m52.8s"));
    assert_eq!(left(&before, DAILY), 998);
    let (after, _) = restarted(&before, Limits::new(), Duration::ZERO);
    assert_eq!(left(&after, DAILY), 998);
    // The next response is about the same limit, also without a reset.
    let headers = [("x-ratelimit-limit-requests", "2000"), ("x-ratelimit-remaining-requests", "9")];
    for model in [&before, &after] {
        model.observe(headers);
    }
    assert_eq!(after.usage(), before.usage());
    assert_eq!(after.usage().limits.len(), 1);
    // Long afterwards, the limit and its period are still known, and nothing is used.
    let (after, _) = restarted(&before, Limits::new(), MINUTE * 60 * 24 * 400);
    let daily = after.usage().of(DAILY).unwrap();
    assert_eq!((daily.limit, daily.used, after.usage().paused_for), (2_000, 0, None));
}

#[test]
fn nothing_passes_before_the_servers_window_ends() {
    let before = limiter(&ManualClock::new(), Limits::new());
    before.observe_reply(&Reply::new(200).headers([
        ("x-ratelimit-limit-requests-hour", "50"),
        ("x-ratelimit-remaining-requests-hour", "0"),
        ("x-ratelimit-reset-requests-hour", "1800"),
    ]));
    let (after, clock) = restarted(&before, Limits::new(), MINUTE * 10);
    assert!(after.try_acquire(0).is_err());
    clock.advance(SECOND * 1_200);
    assert!(after.try_acquire(0).is_err());
    // 200 millionths later than stated, since clocks differ.
    clock.advance(SECOND / 2);
    assert!(after.try_acquire(0).is_ok());
}

#[test]
fn configured_limits_stay_as_they_are_configured_now() {
    let clock = ManualClock::new();
    let before = limiter(&clock, rpm(100).tokens_per_minute(5_000));
    before.observe([("x-ratelimit-limit-requests", "20")]);
    take(&before, 10, 100);
    // Lowered by a response, and now by hand: the lower one.
    for (configured, expected) in [(100, 20), (200, 20), (20, 20), (5, 5)] {
        let (after, _) = restarted(&before, rpm(configured), Duration::ZERO);
        let requests = after.usage().of(REQUESTS).unwrap();
        assert_eq!((requests.limit, requests.used), (expected, expected.min(10)));
        // Tokens were limited by hand, and are no longer.
        assert_eq!(after.usage().of(TOKENS), None);
    }
}

#[test]
fn a_server_that_alternates_between_limits_gives_nothing_away_over_a_restart() {
    let before = limiter(&ManualClock::new(), tpm(10_000));
    before.observe([("x-ratelimit-limit-tokens", "5000")]);
    take(&before, 1, 5_000);
    before.observe([("x-ratelimit-limit-tokens", "1000")]);
    assert_eq!(used(&before, TOKENS), 1_000);
    for (pause, in_use) in [(0, 5_000), (30, 4_500), (60, 0)] {
        let (after, _) = restarted(&before, tpm(10_000), SECOND * pause);
        after.observe([("x-ratelimit-limit-tokens", "5000")]);
        assert_eq!(used(&after, TOKENS), in_use);
    }
}

#[test]
fn pauses_and_failures_in_a_row_go_on() {
    let clock = ManualClock::new();
    let before = limiter(&clock, Limits::new());
    before.observe_reply(&Reply::new(429).limited_for(MINUTE));
    let (after, _) = restarted(&before, Limits::new(), SECOND * 20);
    assert_eq!(after.usage().paused_for, Some(SECOND * 40));
    let (after, _) = restarted(&before, Limits::new(), MINUTE);
    assert_eq!(after.usage().paused_for, None);

    // A key that is spent: the rest after the restart is twice as long as the one before.
    let before = limiter(&clock, Limits::new());
    before.observe_reply(&Reply::new(402));
    let first = before.usage().paused_for.unwrap();
    let (after, _) = restarted(&before, Limits::new(), first);
    assert_eq!(after.usage().paused_for, None);
    after.observe_reply(&Reply::new(402));
    assert_eq!(after.usage().paused_for, Some(first * 2));
    // Two days later, nobody remembers.
    let (after, _) = restarted(&before, Limits::new(), MINUTE * 60 * 48);
    after.observe_reply(&Reply::new(402));
    assert_eq!(after.usage().paused_for, Some(first));
}

#[test]
fn the_second_failure_in_a_row_may_come_after_the_restart() {
    let before = limiter(&ManualClock::new(), Limits::new());
    before.observe_reply(&Reply::new(500));
    assert_eq!(before.usage().paused_for, None);
    let (after, _) = restarted(&before, Limits::new(), SECOND);
    after.observe_reply(&Reply::new(500));
    assert_eq!(after.usage().paused_for, Some(SECOND / 2));
    // On trial from then on: one request at a time.
    let (after, clock) = restarted(&after, Limits::new(), SECOND);
    let open = after.try_acquire(0).unwrap();
    assert!(after.try_acquire(0).is_err());
    // The request on trial is waited for, although the one who sent it is gone.
    let (again, _) = restarted(&after, Limits::new(), SECOND * 9);
    assert!(again.try_acquire(0).is_err());
    let (again, _) = restarted(&after, Limits::new(), SECOND * 10);
    assert!(again.try_acquire(0).is_ok());
    clock.advance(SECOND);
    open.settle(0);
    assert!(after.try_acquire(0).is_ok());
}

#[test]
fn pauses_without_a_stated_length_go_on_growing() {
    let (second, refused) = (SECOND, Reply::new(429));
    let before = limiter(&ManualClock::new(), Limits::new());
    before.observe_reply(&refused);
    let grows = |meanwhile| {
        let (after, clock) = restarted(&before, Limits::new(), meanwhile);
        clock.advance(second);
        after.observe_reply(&refused);
        after.usage().paused_for.unwrap()
    };
    // At first a second, then two, and each up to a quarter longer. A minute later it starts over.
    assert!(grows(second * 2) >= second * 2);
    assert!(grows(second * 50) >= second * 2);
    assert!(grows(second * 62) < second * 2);
}

#[test]
fn a_smaller_burst_gives_back_as_much_as_without_a_restart() {
    let limits = tpm(600).burst(Burst::Percent(10));
    let clock = ManualClock::new();
    let before = limiter(&clock, limits);
    for _ in 0..5 {
        take(&before, 1, 60);
        clock.advance(SECOND * 6);
    }
    let (after, new) = restarted(&before, limits, Duration::ZERO);
    for (model, clock) in [(&before, &clock), (&after, &new)] {
        let permit = model.try_acquire(60).unwrap();
        clock.advance(SECOND * 2);
        permit.settle(0);
        assert_eq!(left(model, TOKENS), 60);
    }
}

#[test]
fn a_state_can_be_restored_in_the_middle_of_use() {
    let before = limiter(&ManualClock::new(), rpm(10).burst(Burst::Strict));
    take(&before, 8, 0);
    let after = limiter(&ManualClock::new(), rpm(10).burst(Burst::Strict));
    let open = after.try_acquire(0).unwrap();
    after.restore_state_at(&before.state_at(start()), start()).unwrap();
    assert_eq!(used(&after, REQUESTS), 8);
    open.cancel();
    assert_eq!(used(&after, REQUESTS), 7);
}

#[test]
fn the_time_of_day_is_the_systems() {
    let before = limiter(&ManualClock::new(), rpm(1));
    take(&before, 1, 0);
    let (earliest, state, latest) = (SystemTime::now(), before.state(), SystemTime::now());
    assert!(state.taken_at() >= earliest && state.taken_at() <= latest + SECOND / 1_000);
    let after = limiter(&ManualClock::new(), rpm(1));
    after.restore_state(&state).unwrap();
    let from_the_future = before.state_at(SystemTime::now() + MINUTE * 60);
    after.restore_state(&from_the_future).unwrap();
    assert_eq!(used(&after, REQUESTS), 1);
}

/// A server that counts in windows of an hour.
fn hourly(limit: &str, remaining: &str, reset: &str) -> Reply {
    Reply::new(200).headers([
        ("x-ratelimit-limit-requests-hour", limit),
        ("x-ratelimit-remaining-requests-hour", remaining),
        ("x-ratelimit-reset-requests-hour", reset),
    ])
}

const HOURLY: LimitKind = LimitKind::Requests(Period::HOUR);

#[test]
fn a_window_of_a_whole_period_ends_as_late_as_before() {
    let before = limiter(&ManualClock::new(), Limits::new());
    before.observe_reply(&hourly("50", "0", "3600"));
    let (after, _) = restarted(&before, Limits::new(), Duration::ZERO);
    // The clocks of client and server may differ a little.
    assert!(before.usage().of(HOURLY).unwrap().reset_after > MINUTE * 60);
    assert_eq!(after.usage(), before.usage());
}

#[test]
fn what_is_sent_before_the_window_ends_may_count_in_the_next_one() {
    let before = limiter(&ManualClock::new(), Limits::new());
    for _ in 0..2 {
        before.observe_reply(&hourly("30", "10", "3000"));
    }
    before.clock().advance(SECOND * 2_999);
    let (after, clock) = restarted(&before, Limits::new(), Duration::ZERO);
    take(&after, 4, 0);
    clock.advance(SECOND * 2);
    assert_eq!((used(&after, HOURLY), left(&after, HOURLY)), (4, 26));
    // Not once this process has been told when its window ends.
    after.observe_reply(&hourly("30", "26", "3600"));
    clock.advance(MINUTE * 30);
    take(&after, 4, 0);
    clock.advance(MINUTE * 30 + SECOND * 2);
    assert_eq!((used(&after, HOURLY), left(&after, HOURLY)), (0, 30));
}
