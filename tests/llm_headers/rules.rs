//! What is made of contradictions, dates, and values that are none.

use std::time::Duration;

use tollgate::llm::Counted::{InputTokens, Requests, Tokens};
use tollgate::llm::{Counted, LimitKind, Period, ServerLimits};

use crate::{NAMES, NOW, at, limits, on, only, read};

#[test]
fn retry_after_in_seconds_as_a_date_and_in_milliseconds() {
    for (headers, millis) in [
        (&[("Retry-After", "20")][..], 20_000),
        (&[("retry-after", " 0.5\t")], 500),
        (&[("retry-after", "0")], 0),
        (&[("retry-after", "1m30s")], 90_000),
        (&[("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")], 30_000),
        (&[("retry-after", "Thu, 21 Aug 2025 12:41:30 -0000")], 30_000),
        (&[("retry-after", "1 minute")], 60_000),
        (&[("retry-after", "60 seconds, 90 seconds")], 90_000),
        (&[("retry-after", "120;w=60")], 120_000),
        (&[("retry-after", "Thu, 21 Aug 2025 12:40:00 GMT")], 0),
        (&[("retry-after", "9"), ("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")], 30_000),
        (&[("retry-after", "99"), ("retry-after", "Thu, 21 Aug 2025 12:41:30 GMT")], 99_000),
        // More precise, so it wins; but only if it is valid, and no other wait altogether.
        (&[("retry-after-ms", "1200"), ("retry-after", "2")], 1_200),
        (&[("retry-after-ms", "2200"), ("retry-after", "2")], 2_200),
        (&[("retry-after-ms", "4001"), ("retry-after", "5")], 4_001),
        (&[("retry-after-ms", "4000"), ("retry-after", "5")], 5_000),
        (&[("retry-after-ms", "0"), ("retry-after", "60")], 60_000),
        (&[("x-ms-retry-after-ms", "1200"), ("retry-after-ms", "1300")], 1_300),
        (&[("retry-after-ms", "soon"), ("retry-after", "2")], 2_000),
        // The day that Azure sometimes asks for is for the caller to bound.
        (&[("retry-after", "86400")], 86_400_000),
    ] {
        let wait = Some(Duration::from_millis(millis));
        assert_eq!(read(headers).retry_after, wait, "{headers:?}");
    }
}

/// The client's clock may be wrong by an hour: the server's own date is what counts.
#[test]
fn dates_count_from_the_responses_own_date() {
    let reset = ("anthropic-ratelimit-tokens-reset", "2025-08-21T12:41:30Z");
    let date = ("Date", "Thu, 21 Aug 2025 12:41:00 GMT");
    for received in [0, NOW - 3_600, NOW, NOW + 3_600] {
        for headers in [[reset, date], [date, reset]] {
            let said = ServerLimits::from_headers(headers, at(received));
            let reset = said.on(Tokens).unwrap().reset_after;
            assert_eq!(reset, Some(Duration::from_secs(30)));
        }
        // Without a date, or without a valid one, ours is all there is.
        let ours = Duration::from_secs((NOW + 30).saturating_sub(received));
        for headers in [vec![reset], vec![reset, ("date", "today")]] {
            let said = ServerLimits::from_headers(headers, at(received));
            assert_eq!(said.on(Tokens).unwrap().reset_after, Some(ours));
        }
    }
}

#[test]
fn of_contradictions_the_stricter_stays() {
    let said = read(&[
        // Two families at once, behind a gateway.
        ("x-ratelimit-limit-requests", "500"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("x-ratelimit-remaining-requests", "7"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("x-ratelimit-reset-requests", "1s"),
        ("anthropic-ratelimit-requests-reset", "2025-08-21T12:41:40Z"),
        // Repeated.
        ("x-ratelimit-limit-tokens", "0"),
        ("x-ratelimit-limit-tokens", "90000"),
        ("X-RATELIMIT-LIMIT-TOKENS", "80000"),
        // More left than there can be: rounded to thousands.
        ("anthropic-ratelimit-input-tokens-limit", "80500"),
        ("anthropic-ratelimit-input-tokens-remaining", "81000"),
    ]);
    assert_eq!(
        limits(&said),
        [
            on(Requests).limit(50).remaining(7).reset(40_000),
            on(Tokens).limit(0),
            on(InputTokens).limit(80_500).remaining(80_500),
        ]
    );
}

/// A list is a repetition: lines of a header that a proxy has joined.
#[test]
fn of_a_list_the_stricter_counts() {
    let requests = on(Requests);
    let remaining = "x-ratelimit-remaining-requests";
    assert_eq!(only(&[(remaining, "991, 98")]), requests.remaining(98));
    assert_eq!(only(&[(remaining, "98;w=60, 991")]), requests.remaining(98));
    assert_eq!(only(&[("x-ratelimit-limit-requests", "50,60")]), requests.limit(50));
    assert_eq!(only(&[("x-ratelimit-reset-requests", "1s, 1m0s")]), requests.reset(60_000));
    let two = [("x-ratelimit-limit", "10;w=1, 300;w=60")];
    assert_eq!(limits(&read(&two)), [requests.per(1).limit(10), requests.per(60).limit(300)]);
}

/// Only where the headers state the period, a limit can be asked for by its kind.
#[test]
fn a_limit_is_found_by_what_it_counts_or_by_its_kind() {
    let said = read(&[
        ("x-ratelimit-limit-requests-day", "5000"),
        ("x-ratelimit-limit-requests-minute", "60"),
        ("x-ratelimit-limit-tokens", "9000"),
    ]);
    let period = |counted: Counted| said.on(counted).map(|limit| limit.period);
    assert_eq!(period(Requests), Some(Some(Period::MINUTE)));
    assert_eq!((period(Tokens), period(InputTokens)), (Some(None), None));
    let daily = said.of(Requests.per(Period::DAY)).unwrap();
    assert_eq!(daily.limit.and_then(tollgate::llm::Bound::count), Some(5_000));
    assert_eq!(said.of(Tokens.per(Period::MINUTE)), None);
    assert_eq!(said.of(LimitKind::Concurrency), None);
}

/// A gateway's own `x-ratelimit-limit` may be per second: it must not pass for the model's.
#[test]
fn headers_without_a_subject_count_only_where_none_names_the_requests() {
    let gateway = [("x-ratelimit-limit", "10"), ("x-ratelimit-remaining", "9")];
    assert_eq!(only(&gateway), on(Requests).limit(10).remaining(9));
    let named = ("x-ratelimit-remaining-requests", "499");
    assert_eq!(only(&[gateway[0], gateway[1], named]), on(Requests).remaining(499));
    // Even one that is not valid: else repeating it validly would loosen.
    let invalid = ("x-ratelimit-remaining-requests", "many");
    assert!(read(&[invalid, gateway[0], gateway[1]]).is_empty());
}

#[test]
fn hostile_values_are_ignored() {
    let digits = "9".repeat(1_000);
    let spaces = " ".repeat(100_000) + "x";
    for value in [
        "",
        " ",
        "-",
        "-2",
        "+1",
        "NaN",
        "inf",
        "1e308",
        "1e-308",
        "0x10",
        "1,000",
        "1 2",
        "6m0",
        "٣",
        "\u{feff}1",
        "1\0",
        "true",
        "null",
        "\"1\"",
        &digits,
        &spaces,
    ] {
        for name in NAMES {
            assert!(read(&[(name, value)]).is_empty(), "{name}: {value}");
        }
    }
    for value in [&b"\xff\xfe"[..], b"1\xff", &[0; 100], &vec![b'1'; 100_000]] {
        for name in NAMES {
            assert!(ServerLimits::from_headers([(name, value)], at(NOW)).is_empty());
        }
    }
    for name in [&[0xff; 20][..], b"x-ratelimit-limit-requests\xff", &vec![b'x'; 100_000]] {
        assert!(ServerLimits::from_headers([(name, "1")], at(NOW)).is_empty());
    }
    let none: [(&str, &str); 0] = [];
    assert!(ServerLimits::from_headers(none, at(NOW)).is_empty());
}

/// A `HeaderMap` has repeated headers one by one.
#[test]
fn a_header_map_is_taken_as_it_is() {
    let mut headers = http::HeaderMap::new();
    headers.append("X-RateLimit-Remaining-Tokens", "30".parse().unwrap());
    headers.append("X-RateLimit-Remaining-Tokens", "20".parse().unwrap());
    headers.insert("retry-after", http::HeaderValue::from_bytes(b"\xff").unwrap());
    let said = ServerLimits::from_headers(&headers, at(NOW));
    assert_eq!(limits(&said), [on(Tokens).remaining(20)]);
    assert_eq!(said.retry_after, None);
}
