//! Rules of the header fields that the case file has no example of.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use http::header::{CACHE_CONTROL, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use tollgate::Quota;
use tollgate_http::policy::{Dialect, ResetForm};
use tollgate_http::respond::{EXPOSED_HEADERS, Fields, LimitTexts, Refusal, is_shown_on};

use crate::{BOTH, State, answer, at, shown, text};

fn no_clock() -> SystemTime {
    panic!("only the epoch form needs the time")
}

fn half_used() -> [State; 2] {
    [
        State::parsed("flood", "600/min").left(500, 10_000),
        State::parsed("calls", "10/min").left(3, 42_000),
    ]
}

#[test]
fn unlimited_has_no_texts() {
    assert!(LimitTexts::new("free", Quota::unlimited()).is_none());
}

#[test]
fn fields_of_the_handler_stay_as_they_are() {
    let all = ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset"];
    for own in all {
        let mut headers = HeaderMap::new();
        headers.append(own, HeaderValue::from_static("a"));
        headers.append(own, HeaderValue::from_static("b"));
        let limits = half_used();
        Fields::new(&BOTH, ResetForm::Seconds).write(&mut headers, &shown(&limits), None, no_clock);
        let values: Vec<_> = headers.get_all(own).iter().collect();
        assert_eq!(values, ["a", "b"]);
        assert_eq!(headers.keys_len(), 5, "the other fields are added: {headers:?}");
    }
}

#[test]
fn the_kept_policy_is_sent_as_it_is() {
    let limits = half_used();
    let fields = Fields::new(&BOTH, ResetForm::Seconds);
    let texts: Vec<&LimitTexts> = limits.iter().map(|limit| &limit.texts).collect();
    let policy = fields.policy(&texts).expect("two limits");
    assert_eq!(policy, r#""flood";q=600;w=60, "calls";q=10;w=60"#);

    let mut with = HeaderMap::new();
    fields.write(&mut with, &shown(&limits), Some(&policy), no_clock);
    assert_eq!(with, answer(&limits, &BOTH, ResetForm::Seconds, SystemTime::now()));
}

#[test]
fn only_dialects_with_a_policy_have_one() {
    let limits = half_used();
    let texts: Vec<&LimitTexts> = limits.iter().map(|limit| &limit.texts).collect();
    let policy = |dialects: &[Dialect]| Fields::new(dialects, ResetForm::Seconds).policy(&texts);
    assert_eq!(policy(&[Dialect::XRateLimit]), None);
    assert_eq!(policy(&[]), None);
    assert_eq!(policy(&[Dialect::RateLimit07]).expect("some"), "600;w=60, 10;w=60");
    assert_eq!(Fields::new(&BOTH, ResetForm::Seconds).policy(&[]), None);
}

#[test]
fn nothing_is_written_without_limits_or_dialects() {
    for (limits, dialects) in [(&[][..], &BOTH[..]), (&half_used()[..], &[][..])] {
        let headers = answer(limits, dialects, ResetForm::Seconds, SystemTime::now());
        assert!(headers.is_empty(), "{headers:?}");
    }
}

#[test]
fn drafts_7_and_11_are_never_mixed() {
    let limits = half_used();
    for (dialects, state, policy) in [
        (
            [Dialect::RateLimit, Dialect::RateLimit07],
            r#""flood";r=500;t=10, "calls";r=3;t=42"#,
            r#""flood";q=600;w=60, "calls";q=10;w=60"#,
        ),
        (
            [Dialect::RateLimit07, Dialect::RateLimit],
            "limit=10, remaining=3, reset=42",
            "600;w=60, 10;w=60",
        ),
    ] {
        let headers = answer(&limits, &dialects, ResetForm::Seconds, at(0));
        assert_eq!(text(&headers, "ratelimit"), state);
        assert_eq!(text(&headers, "ratelimit-policy"), policy);
    }
}

#[test]
fn draft_7_counts_seconds_also_if_x_ratelimit_has_the_epoch() {
    let dialects = [Dialect::RateLimit07, Dialect::XRateLimit];
    let headers = answer(&half_used(), &dialects, ResetForm::Epoch, at(1_764_000_000_001));
    assert_eq!(text(&headers, "ratelimit"), "limit=10, remaining=3, reset=42");
    assert_eq!(text(&headers, "x-ratelimit-reset"), "1764000043");
}

#[test]
fn the_clock_is_read_once_for_the_epoch_form_and_else_not_at_all() {
    let limits = half_used();
    let reads = Cell::new(0);
    let clock = || {
        reads.set(reads.get() + 1);
        at(0)
    };
    let write = |dialects: &[Dialect], reset, headers: &mut HeaderMap| {
        Fields::new(dialects, reset).write(headers, &shown(&limits), None, clock);
        reads.replace(0)
    };
    assert_eq!(write(&BOTH, ResetForm::Seconds, &mut HeaderMap::new()), 0);
    assert_eq!(write(&[Dialect::RateLimit], ResetForm::Epoch, &mut HeaderMap::new()), 0);
    assert_eq!(write(&BOTH, ResetForm::Epoch, &mut HeaderMap::new()), 1);
    let mut own = HeaderMap::new();
    own.insert("x-ratelimit-reset", HeaderValue::from_static("7"));
    assert_eq!(write(&BOTH, ResetForm::Epoch, &mut own), 0);
}

#[test]
fn what_can_never_pass_has_neither_t_nor_retry_after() {
    let limits = [
        State::parsed("calls", "10/min").left(0, 60_000).refused(Some(Duration::from_secs(5))),
        State::parsed("export", "20/day burst 5").left(5, 0).refused(None),
    ];
    let headers = answer(&limits, &BOTH, ResetForm::Seconds, at(0));
    assert_eq!(text(&headers, "ratelimit"), r#""calls";r=0;t=5, "export";r=5"#);
    assert!(!headers.contains_key(RETRY_AFTER));
    assert_eq!(text(&headers, "x-ratelimit-limit"), "5", "never is the longest wait");
}

#[test]
fn no_wait_is_told_as_zero() {
    let refused = [State::parsed("calls", "10/min").left(0, 0).refused(Some(Duration::ZERO))];
    let headers = answer(&refused, &BOTH, ResetForm::Seconds, at(0));
    assert_eq!(text(&headers, "retry-after"), "1");
    assert_eq!(text(&headers, "ratelimit"), r#""calls";r=0;t=1"#);

    let last = [State::parsed("calls", "10/min").left(0, 60_000)];
    assert_eq!(last[0].next_after, Duration::ZERO);
    let headers = answer(&last, &BOTH, ResetForm::Seconds, at(0));
    assert_eq!(text(&headers, "ratelimit"), r#""calls";r=0;t=1"#);
}

#[test]
fn a_refusal_is_never_stored() {
    let refusals = [
        Refusal::limits(StatusCode::TOO_MANY_REQUESTS, &[]),
        Refusal::full("calls"),
        Refusal::penalty(Duration::from_secs(1)),
        Refusal::blocked(),
        Refusal::missing_key(),
        Refusal::ambiguous_path(),
        Refusal::no_peer(),
    ];
    let statuses = [429, 503, 429, 403, 403, 400, 500];
    let waits = [None, Some("1"), Some("1"), None, None, None, None];
    for ((refusal, status), wait) in refusals.iter().zip(statuses).zip(waits) {
        let mut headers = HeaderMap::new();
        refusal.write(&mut headers);
        assert_eq!(refusal.status().as_u16(), status);
        assert_eq!(text(&headers, "cache-control"), "no-store");
        assert_eq!(headers.get(RETRY_AFTER).map(HeaderValue::as_bytes), wait.map(str::as_bytes));
    }
}

#[test]
fn redirections_do_not_tell_of_limits() {
    for status in (100..1_000).filter_map(|code| StatusCode::from_u16(code).ok()) {
        let hidden = (300..400).contains(&status.as_u16()) && status.as_u16() != 304;
        assert_eq!(is_shown_on(status), !hidden, "{status}");
    }
}

#[test]
fn every_field_is_in_the_list_for_cors() {
    let limits = [State::parsed("calls", "10/min").refused(Some(Duration::ZERO))];
    let mut headers = answer(&limits, &BOTH, ResetForm::Epoch, at(0));
    headers.remove(CACHE_CONTROL); // Every script can read it.
    let mut written: Vec<HeaderName> = headers.keys().cloned().collect();
    let mut exposed = EXPOSED_HEADERS.to_vec();
    written.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    exposed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    assert_eq!(written, exposed);
}

#[test]
fn a_map_without_room_is_left_as_it_is() {
    let mut full = HeaderMap::new();
    let mut number = 0;
    while full
        .try_insert(
            HeaderName::try_from(format!("x-{number}")).expect("a name"),
            HeaderValue::from_static(""),
        )
        .is_ok()
    {
        number += 1;
    }
    let before = full.len();
    let limits = half_used();
    Fields::new(&BOTH, ResetForm::Seconds).write(&mut full, &shown(&limits), None, no_clock);
    Refusal::full("calls").write(&mut full);
    assert_eq!(full.len(), before);
}
