//! What the headers of each dialect teach.

use tollgate::ManualClock;
use tollgate::llm::{Burst, LimitKind, Limits, Period, Tokens};

use crate::support::{
    NANO, OnManual, SECOND, just_before, left, limiter, queued, refused_by, tpm, used,
};

fn limit(limiter: &OnManual, kind: LimitKind) -> Option<u64> {
    limiter.usage().of(kind).map(|usage| usage.limit)
}

fn unknown(clock: &ManualClock) -> OnManual {
    limiter(clock, Limits::new())
}

const OPENAI: [(&str, &str); 6] = [
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-limit-tokens", "150000"),
    ("x-ratelimit-remaining-requests", "59"),
    ("x-ratelimit-remaining-tokens", "149984"),
    ("x-ratelimit-reset-requests", "1s"),
    ("x-ratelimit-reset-tokens", "6ms"),
];

#[test]
fn openai_teaches_requests_and_tokens() {
    let limiter = unknown(&ManualClock::new());
    limiter.observe(OPENAI);
    assert_eq!(limit(&limiter, LimitKind::Requests(Period::MINUTE)), Some(60));
    assert_eq!(limit(&limiter, LimitKind::Tokens(Period::MINUTE)), Some(150_000));
    assert_eq!(left(&limiter, LimitKind::Requests(Period::MINUTE)), 59);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 149_984);
    assert_eq!(limiter.usage().limits.len(), 2);
}

#[test]
fn the_stricter_of_a_projects_tokens_and_its_accounts_counts() {
    let limiter = unknown(&ManualClock::new());
    limiter.observe([
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-limit-project-tokens", "60000"),
        ("x-ratelimit-remaining-project-tokens", "57000"),
        ("x-ratelimit-reset-project-tokens", "3s"),
    ]);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 149_984);
    assert_eq!(limit(&limiter, LimitKind::ProjectTokens(Period::MINUTE)), Some(60_000));
    assert_eq!(left(&limiter, LimitKind::ProjectTokens(Period::MINUTE)), 57_000);
    let (kind, _) = refused_by(limiter.try_acquire(57_001));
    assert_eq!(kind, LimitKind::ProjectTokens(Period::MINUTE));
}

#[test]
fn azure_teaches_with_plain_seconds_and_its_fillers_teach_nothing() {
    let limiter = unknown(&ManualClock::new());
    limiter.observe([
        ("x-ratelimit-limit-tokens", "-1"),
        ("x-ratelimit-remaining-tokens", "-1"),
        ("x-ratelimit-limit-requests", "100"),
        ("x-ratelimit-remaining-requests", "90"),
        ("x-rate-limit-reset-tokens", "55"),
        ("x-ratelimit-renewalperiod-requests", "60"),
    ]);
    assert_eq!(limit(&limiter, LimitKind::Tokens(Period::MINUTE)), None);
    assert_eq!(left(&limiter, LimitKind::Requests(Period::MINUTE)), 90);
    limiter.observe([("x-ratelimit-limit-requests", "0")]);
    assert_eq!(
        limit(&limiter, LimitKind::Requests(Period::MINUTE)),
        Some(100),
        "no number is no reason to lift"
    );
}

#[test]
fn a_limit_over_another_period_is_not_taken_for_one_a_minute() {
    let clock = ManualClock::new();
    let limiter = unknown(&clock);
    limiter.observe([
        ("x-ratelimit-limit-requests", "10"),
        ("x-ratelimit-remaining-requests", "0"),
        ("x-ratelimit-renewalperiod-requests", "10"),
    ]);
    let ten_seconds = LimitKind::Requests(Period::seconds(10).unwrap());
    assert_eq!(limit(&limiter, ten_seconds), Some(10));
    assert_eq!(limiter.usage().limits.len(), 1);
    assert_eq!(refused_by(limiter.try_acquire(0)), (ten_seconds, Some(10 * SECOND)));
}

#[test]
fn anthropic_teaches_input_and_output() {
    let limiter = unknown(&ManualClock::new());
    limiter.observe([
        ("anthropic-ratelimit-requests-limit", "1000"),
        ("anthropic-ratelimit-requests-remaining", "999"),
        ("anthropic-ratelimit-requests-reset", "2025-08-21T12:40:59Z"),
        ("anthropic-ratelimit-input-tokens-limit", "80000"),
        ("anthropic-ratelimit-input-tokens-remaining", "79000"),
        ("anthropic-ratelimit-output-tokens-limit", "16000"),
        ("anthropic-ratelimit-output-tokens-remaining", "16000"),
        ("anthropic-ratelimit-tokens-limit", "96000"),
        ("anthropic-ratelimit-tokens-remaining", "95000"),
        ("date", "Thu, 21 Aug 2025 12:41:00 GMT"),
    ]);
    assert_eq!(left(&limiter, LimitKind::Requests(Period::MINUTE)), 999);
    assert_eq!(left(&limiter, LimitKind::InputTokens(Period::MINUTE)), 79_000);
    assert_eq!(left(&limiter, LimitKind::OutputTokens(Period::MINUTE)), 16_000);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 95_000);
}

#[test]
fn limits_a_day_are_learned_where_the_name_says_so() {
    let limiter = unknown(&ManualClock::new());
    limiter.observe([
        ("x-ratelimit-limit-requests-day", "1000"),
        ("x-ratelimit-remaining-requests-day", "1"),
        ("x-ratelimit-limit-tokens-day", "5000"),
        ("x-ratelimit-limit-tokens-minute", "400"),
    ]);
    assert_eq!(left(&limiter, LimitKind::Requests(Period::DAY)), 1);
    assert_eq!(limit(&limiter, LimitKind::Tokens(Period::DAY)), Some(5_000));
    assert_eq!(limit(&limiter, LimitKind::Tokens(Period::MINUTE)), Some(400));
    assert!(limiter.allow());
    let (kind, wait) = refused_by(limiter.try_acquire(1));
    // Nobody knows when the server's day ends; another answer is asked for after an hour.
    assert_eq!((kind, wait), (LimitKind::Requests(Period::DAY), Some(3_600 * SECOND)));
}

#[test]
fn a_learned_limit_starts_with_what_is_in_flight() {
    let limiter = unknown(&ManualClock::new());
    let first = limiter.try_acquire(Tokens::new(700, 300)).unwrap();
    let second = limiter.try_acquire(Tokens::new(100, 100)).unwrap();
    // Two answers show that the limits are refilled evenly. (What is in flight cannot be given back
    // to a limit that is counted strictly.)
    for _ in 0..2 {
        limiter.observe([
            ("x-ratelimit-limit-tokens", "10000"),
            ("x-ratelimit-remaining-tokens", "8800"),
            ("x-ratelimit-reset-tokens", "7.2s"),
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", "3"),
            ("x-ratelimit-reset-requests", "24s"),
        ]);
    }
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 1_200);
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 2);
    first.settle(Tokens::new(700, 20));
    second.cancel();
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 720);
    assert_eq!(used(&limiter, LimitKind::Requests(Period::MINUTE)), 1);
}

#[test]
fn a_learned_limit_follows_the_server_up_and_down() {
    let limiter = unknown(&ManualClock::new());
    for count in ["500", "200", "900"] {
        limiter.observe([("x-ratelimit-limit-tokens", count)]);
        assert_eq!(
            limit(&limiter, LimitKind::Tokens(Period::MINUTE)),
            Some(count.parse().unwrap())
        );
    }
}

#[test]
fn a_limit_that_was_built_in_is_lowered_and_never_raised_beyond() {
    let limiter = limiter(&ManualClock::new(), tpm(500));
    for (said, holds) in [("200", 200), ("300", 300), ("900", 500), ("400", 400)] {
        limiter.observe([("x-ratelimit-limit-tokens", said)]);
        assert_eq!(limit(&limiter, LimitKind::Tokens(Period::MINUTE)), Some(holds), "{said}");
    }
}

#[test]
fn what_was_used_stays_used_when_the_limit_changes() {
    let limiter = limiter(&ManualClock::new(), tpm(500));
    limiter.try_acquire(100).unwrap().settle(100);
    for said in ["200", "400"] {
        limiter.observe([("x-ratelimit-limit-tokens", said)]);
        assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 100);
    }
}

#[test]
fn less_remaining_than_known_counts_as_used_by_others() {
    let limiter = limiter(&ManualClock::new(), tpm(600).requests_per_minute(60));
    limiter.try_acquire(100).unwrap().settle(100);
    limiter.observe([("x-ratelimit-remaining-tokens", "200")]);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 200);
    assert_eq!(
        left(&limiter, LimitKind::Requests(Period::MINUTE)),
        59,
        "nothing was said of requests"
    );
}

#[test]
fn the_last_of_a_minutes_limit_is_kept_in_reserve() {
    // A twentieth of 600 is 30: from twice that on, what is usable shrinks at double speed.
    for (remaining, usable) in [("61", 61), ("60", 60), ("59", 58), ("31", 2), ("30", 0)] {
        let limiter = limiter(&ManualClock::new(), tpm(600));
        limiter.observe([("x-ratelimit-remaining-tokens", remaining)]);
        assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), usable, "{remaining}");
    }
    let limiter = limiter(&ManualClock::new(), tpm(600));
    limiter.observe([("x-ratelimit-remaining-tokens", "0")]);
    let before = limiter.usage();
    assert_eq!(used(&limiter, LimitKind::Tokens(Period::MINUTE)), 660);
    limiter.observe([("x-ratelimit-remaining-tokens", "0")]);
    assert_eq!(limiter.usage(), before, "it is charged once");
}

#[test]
fn of_small_limits_and_of_a_days_nothing_is_kept_in_reserve() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, Limits::new().requests_per_minute(9).requests_per_day(1_000));
    limiter.observe([
        ("x-ratelimit-remaining-requests", "1"),
        ("x-ratelimit-remaining-requests-day", "2"),
    ]);
    assert_eq!(left(&limiter, LimitKind::Requests(Period::MINUTE)), 1);
    assert_eq!(left(&limiter, LimitKind::Requests(Period::DAY)), 2);
}

#[test]
fn more_remaining_than_known_does_not_count() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let permit = limiter.try_acquire(400).unwrap();
    permit.observe([("x-ratelimit-remaining-tokens", "600")]);
    assert_eq!(
        left(&limiter, LimitKind::Tokens(Period::MINUTE)),
        200,
        "the server has not seen it yet"
    );
    permit.settle(400);
    limiter.observe([("x-ratelimit-remaining-tokens", "1000000")]);
    assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 200);
}

#[test]
fn a_server_that_counts_what_is_known_here_changes_nothing() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600).requests_per_minute(60));
    limiter.try_acquire(150).unwrap().settle(150);
    let before = limiter.usage();
    limiter.observe([
        ("x-ratelimit-limit-tokens", "600"),
        ("x-ratelimit-remaining-tokens", "450"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-tokens", "15s"),
    ]);
    assert_eq!(limiter.usage(), before);
}

#[test]
fn hostile_values_teach_nothing() {
    let limiter = limiter(&ManualClock::new(), tpm(600));
    let before = limiter.usage();
    for value in ["", "x", "-5", "1e9", "18446744073709551616", "0x10", "१", "NaN", "600,600"] {
        limiter.observe([
            ("x-ratelimit-limit-tokens", value),
            ("x-ratelimit-remaining-tokens", value),
            ("retry-after", value.replace("1e9", "-1").as_str()),
        ]);
        assert_eq!(limiter.usage(), before, "{value:?}");
    }
    limiter.observe([("x-ratelimit-limit-tokens", u64::MAX.to_string())]);
    assert_eq!(limiter.usage(), before);
}

#[test]
fn those_who_wait_are_put_off_by_what_others_used() {
    let clock = ManualClock::new();
    let limiter = limiter(&clock, tpm(600));
    limiter.consume_tokens(600);
    let mut waiting = queued(&limiter, 10);
    clock.advance(SECOND / 2);
    // Five have come, and others have them and the reserve.
    limiter.observe([("x-ratelimit-remaining-tokens", "30")]);
    clock.advance(just_before(SECOND));
    waiting.waits();
    clock.advance(NANO);
    assert!(waiting.done().is_ok());
}

#[test]
fn those_who_wait_learn_of_a_higher_limit() {
    let clock = ManualClock::new();
    let limiter = unknown(&clock);
    limiter.observe([("x-ratelimit-limit-tokens", "600"), ("x-ratelimit-remaining-tokens", "30")]);
    let mut waiting = queued(&limiter, 100);
    limiter.observe([("x-ratelimit-limit-tokens", "700")]);
    assert!(waiting.done().is_ok());
}

/// A server that alternates between two limits gives nothing away with any burst: what was in use
/// beyond the lower limit is not counted, and so it is not given back.
#[test]
fn what_a_lowered_limit_does_not_count_is_not_given_back() {
    for burst in [Burst::Full, Burst::Percent(50)] {
        let limits = Limits::new().tokens_per_minute(100).burst(burst);
        let limiter = limiter(&ManualClock::new(), limits);
        let first = limiter.try_acquire(25).unwrap();
        let second = limiter.try_acquire(25).unwrap();
        limiter.observe([("x-ratelimit-limit-tokens-minute", "10")]);
        assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 0, "{burst:?}");
        first.cancel();
        // The other 25 are still in use, of 10.
        assert_eq!(left(&limiter, LimitKind::Tokens(Period::MINUTE)), 0, "{burst:?}");
        second.settle(25);
    }
}

/// Parameters that a server makes up must not keep its real limits out for ever.
#[test]
fn a_limit_that_is_no_longer_reported_makes_room() {
    let clock = ManualClock::new();
    let limiter = unknown(&clock);
    let observe = |limit: u64, secs: u64| {
        limiter.observe([("ratelimit-limit", limit.to_string() + ";w=" + &secs.to_string())]);
    };
    for odd in 0..12 {
        observe(1_000 + odd, 61 + odd);
    }
    let minute = LimitKind::Requests(Period::MINUTE);
    observe(30, 60);
    assert_eq!(limit(&limiter, minute), None, "some of the others may be in use");
    clock.advance(61 * SECOND);
    observe(30, 60);
    assert_eq!(limit(&limiter, minute), Some(30));
    assert_eq!(limiter.usage().limits.len(), 12);
    assert_eq!(limit(&limiter, LimitKind::Requests(Period::seconds(61).unwrap())), None);
    // The others are reported still.
    assert_eq!(limit(&limiter, LimitKind::Requests(Period::seconds(62).unwrap())), Some(1_001));
}
