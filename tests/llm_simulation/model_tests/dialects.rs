//! The headers that servers write, against recorded ones where there are any.

use crate::sim::{Counter, Counts, DAY, Dialect, MINUTE, Nanos, SECOND};

/// Takes some of each counter, and lets the dialect tell what is left.
fn told(dialect: Dialect, now: Nanos, counters: &[(Counter, u64)]) -> Vec<(String, String)> {
    let mut left = Vec::new();
    for (counter, taken) in counters {
        let mut counter = counter.clone();
        counter.take(now, *taken);
        left.push(counter);
    }
    dialect.headers(&mut left, now)
}

#[track_caller]
fn assert_says(headers: &[(String, String)], expected: &[(&str, &str)]) {
    let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, expected);
}

#[test]
fn groq_writes_what_was_recorded() {
    let requests = Counter::even(Counts::Requests, 1_000, DAY);
    let tokens = Counter::even(Counts::Tokens, 8_000, MINUTE);
    assert_says(
        &told(Dialect::OpenAi, 0, &[(requests, 1), (tokens, 73)]),
        &[
            ("x-ratelimit-limit-requests", "1000"),
            ("x-ratelimit-remaining-requests", "999"),
            ("x-ratelimit-reset-requests", "1m26.4s"),
            ("x-ratelimit-limit-tokens", "8000"),
            ("x-ratelimit-remaining-tokens", "7927"),
            // The recorded one was rounded down to 547 ms.
            ("x-ratelimit-reset-tokens", "548ms"),
        ],
    );
}

#[test]
fn azure_writes_what_was_recorded() {
    let requests = Counter::even(Counts::Requests, 5, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 1_500_000, MINUTE);
    assert_says(
        &told(Dialect::Azure, 0, &[(requests, 1), (tokens, 754_601)]),
        &[
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", "4"),
            ("x-ratelimit-renewalperiod-requests", "60"),
            ("x-ratelimit-reset-requests", "12"),
            ("x-ratelimit-limit-tokens", "1500000"),
            ("x-ratelimit-remaining-tokens", "745399"),
            ("x-ratelimit-renewalperiod-tokens", "60"),
            ("x-ratelimit-reset-tokens", "30"),
        ],
    );
}

#[test]
fn anthropic_tells_thousands_and_dates() {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let input = Counter::even(Counts::InputTokens, 60_000, MINUTE);
    assert_says(
        &told(Dialect::Anthropic, SECOND, &[(requests, 3), (input, 1_600)]),
        &[
            ("date", "Mon, 23 Nov 2026 07:13:18 GMT"),
            ("anthropic-ratelimit-requests-limit", "60"),
            ("anthropic-ratelimit-requests-remaining", "57"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T07:13:21Z"),
            ("anthropic-ratelimit-input-tokens-limit", "60000"),
            ("anthropic-ratelimit-input-tokens-remaining", "58000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-11-23T07:13:20Z"),
        ],
    );
}

#[test]
fn days_and_months_go_on() {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let headers = told(Dialect::Anthropic, DAY, &[(requests, 0)]);
    assert_eq!(headers[0].1, "Tue, 24 Nov 2026 07:13:17 GMT");
    assert_eq!(headers[3].1, "2026-11-24T07:13:17Z");
}

#[test]
fn a_period_may_be_part_of_the_name() {
    let short = Counter::windows(Counts::Requests, 2, 10 * SECOND);
    let tokens = Counter::windows(Counts::Tokens, 200_000, MINUTE);
    assert_says(
        &told(Dialect::PeriodInName("req"), 0, &[(short, 2), (tokens, 257)]),
        &[
            ("x-ratelimit-limit-req-10-second", "2"),
            ("x-ratelimit-remaining-req-10-second", "0"),
            ("x-ratelimit-limit-tokens-minute", "200000"),
            ("x-ratelimit-remaining-tokens-minute", "199743"),
        ],
    );
}

#[test]
fn a_window_is_told_in_whole_seconds_to_its_end() {
    // It is 17.4 s past the minute.
    let requests = Counter::windows(Counts::Requests, 20, MINUTE);
    assert_says(
        &told(Dialect::Plain, 0, &[(requests, 20)]),
        &[("x-ratelimit-limit", "20"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "43")],
    );
}

#[test]
fn together_tells_both_limits_without_a_period() {
    let requests = Counter::even(Counts::Requests, 10, SECOND);
    let tokens = Counter::even(Counts::Tokens, 2_000, SECOND);
    assert_says(
        &told(Dialect::Plain, 0, &[(requests, 1), (tokens, 100)]),
        &[
            ("x-ratelimit-limit", "10"),
            ("x-ratelimit-remaining", "9"),
            ("x-ratelimit-reset", "1"),
            ("x-tokenlimit-limit", "2000"),
            ("x-tokenlimit-remaining", "1900"),
            ("x-tokenlimit-reset", "1"),
        ],
    );
}

#[test]
fn the_older_drafts_tell_the_tightest_limit() {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 6_000, MINUTE);
    assert_says(
        &told(Dialect::Draft6, 0, &[(requests, 3), (tokens, 3_000)]),
        &[
            ("ratelimit-limit", "6000"),
            ("ratelimit-remaining", "3000"),
            ("ratelimit-reset", "30"),
            ("ratelimit-policy", "60;w=60, 6000;w=60"),
        ],
    );
}

#[test]
fn the_newer_drafts_tell_all_limits_by_name() {
    let requests = Counter::even(Counts::Requests, 60, MINUTE);
    let tokens = Counter::even(Counts::Tokens, 6_000, MINUTE);
    assert_says(
        &told(Dialect::Draft8, 0, &[(requests, 3), (tokens, 3_000)]),
        &[
            ("ratelimit-policy", "\"requests\";q=60;w=60, \"tokens\";q=6000;w=60"),
            ("ratelimit", "\"requests\";r=57;t=3, \"tokens\";r=3000;t=30"),
        ],
    );
}

#[test]
fn silent_servers_say_nothing_with_an_answer() {
    for dialect in [Dialect::RetryAfterAlone, Dialect::BodyAlone, Dialect::Nothing] {
        let requests = Counter::even(Counts::Requests, 60, MINUTE);
        assert_says(&told(dialect, 0, &[(requests, 60)]), &[]);
        assert!(!dialect.tells_limits());
    }
}

#[test]
fn a_refusal_says_when_to_come_again_if_the_server_ever_does() {
    let wait = 1_200_000_001;
    let both = [("retry-after", "2"), ("retry-after-ms", "1201")];
    assert_says(&Dialect::OpenAi.refusal(wait), &both);
    assert_says(&Dialect::Azure.refusal(wait), &both);
    assert_says(&Dialect::RetryAfterAlone.refusal(wait), &both[..1]);
    for silent in [Dialect::WithoutReset, Dialect::Plain, Dialect::BodyAlone, Dialect::Nothing] {
        assert_says(&silent.refusal(wait), &[]);
    }
    assert_eq!(Dialect::BodyAlone.refusal_in_body(wait), Some(2 * SECOND));
    assert_eq!(Dialect::Nothing.refusal_in_body(wait), None);
}

#[test]
fn long_durations_are_written_as_go_writes_them() {
    let reset = |limit, taken| {
        let requests = Counter::even(Counts::Requests, limit, DAY);
        told(Dialect::OpenAi, 0, &[(requests, taken)]).remove(2).1
    };
    assert_eq!(reset(24, 2), "2h0m0s");
    assert_eq!(reset(1_440, 6), "6m0s");
    assert_eq!(reset(86_400, 1), "1s");
    assert_eq!(reset(86_400, 0), "0ms");
}
