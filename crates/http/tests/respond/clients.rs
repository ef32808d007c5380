//! Our fields as clients of others read them: each reading rule is a port of what a widely used
//! client does, checked against a response that was recorded from a real server.

use std::time::Duration;

use http::HeaderMap;
use tollgate_http::policy::{Dialect, ResetForm};

use crate::{BOTH, State, answer, at, text};

/// What a client reads of `RateLimit`.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    name: &'a str,
    remaining: u64,
    reset: u64,
}

/// Takes `sign`, with blanks around it, from the start.
fn sign<'a>(text: &'a str, sign: &str) -> Option<&'a str> {
    text.trim_start().strip_prefix(sign).map(str::trim_start)
}

/// Takes a number from the start.
fn number(text: &str) -> Option<(u64, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(len);
    Some((digits.parse().ok()?, rest))
}

/// `huggingface_hub` (`utils/_http.py`): searches for `"\w+"`, then `;r=` and `;t=` with digits.
fn hugging_face(field: &str) -> Option<Read<'_>> {
    field.match_indices('"').find_map(|(start, _)| {
        let (name, params) = field.get(start + 1..)?.split_once('"')?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return None;
        }
        let (remaining, params) = number(sign(sign(sign(params, ";")?, "r")?, "=")?)?;
        let (reset, _) = number(sign(sign(sign(params, ";")?, "t")?, "=")?)?;
        Some(Read { name, remaining, reset })
    })
}

/// The first number after `name` and an equals sign, and what follows.
fn after<'a>(text: &'a str, name: &str) -> Option<(u64, &'a str)> {
    let mut places = text.match_indices(name).map(|(start, _)| start + name.len());
    places.find_map(|end| number(sign(text.get(end..)?, "=")?))
}

/// `huggingface_hub`: searches for `q=` with digits, and the next `w=` with digits after it.
fn hugging_face_policy(field: &str) -> Option<(u64, u64)> {
    let (quota, rest) = after(field, "q")?;
    let (window, _) = after(rest, "w")?;
    Some((quota, window))
}

/// `ratelimit-header-parser` of express-rate-limit, version 7 of the draft: a dictionary.
fn express_draft_7(field: &str) -> Option<[i64; 3]> {
    let dictionary: sfv::Dictionary = sfv::Parser::new(field).parse().ok()?;
    let member = |name: &str| match dictionary.get(name)? {
        sfv::ListEntry::Item(item) => Some(i64::from(item.bare_item.as_integer()?)),
        sfv::ListEntry::InnerList(_) => None,
    };
    Some([member("limit")?, member("remaining")?, member("reset")?])
}

/// `ratelimit-header-parser`, fields without a standard: in which second since 1970 the limit is
/// reset. A number above a billion is such a second, a smaller one counts from now.
fn express_x_reset(headers: &HeaderMap, now: u64) -> Option<u64> {
    let reset: u64 = text(headers, "x-ratelimit-reset").parse().ok()?;
    Some(if reset > 1_000_000_000 { reset } else { now + reset })
}

/// `@octokit/plugin-throttling`: how many seconds it sleeps, if it finds the limit used up. It
/// reads the field as a second since 1970, as GitHub sends it.
fn octokit(headers: &HeaderMap, now_ms: i64) -> Option<i64> {
    if text(headers, "x-ratelimit-remaining") != "0" {
        return None;
    }
    // `~~` in JavaScript makes an integer of 32 bits.
    let reset: i32 = text(headers, "x-ratelimit-reset").parse().ok()?;
    let left_ms = i64::from(reset) * 1_000 - now_ms;
    Some((left_ms.div_euclid(1_000) + i64::from(left_ms.rem_euclid(1_000) > 0) + 1).max(0))
}

/// Python's `urllib3` (`Retry.parse_retry_after`): digits are seconds.
fn urllib3(headers: &HeaderMap) -> Option<u64> {
    let field = text(headers, "retry-after").trim();
    field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok())?
}

/// Refused for 54.2 s by the second of two limits.
fn refused() -> [State; 2] {
    let mut api = State::parsed("api", "500/5min").left(0, 299_500);
    api.next_after = Duration::from_millis(54_200);
    [State::parsed("flood", "50/s").left(49, 20), api.refused(Some(Duration::from_millis(54_200)))]
}

#[test]
fn hugging_face_reads_its_own_server() {
    // Recorded from huggingface.co: the doc test of `parse_ratelimit_headers`.
    let own = r#""api";r=0;t=55"#;
    assert_eq!(hugging_face(own), Some(Read { name: "api", remaining: 0, reset: 55 }));
    let own = r#""fixed window";"api";q=500;w=300"#;
    assert_eq!(hugging_face_policy(own), Some((500, 300)));
}

#[test]
fn hugging_face_reads_ours() {
    let headers = answer(&refused(), &BOTH, ResetForm::Seconds, at(0));
    let read = hugging_face(text(&headers, "ratelimit"));
    assert_eq!(read, Some(Read { name: "api", remaining: 0, reset: 55 }));
    assert_eq!(urllib3(&headers), Some(55));

    let allowed = [State::parsed("api", "500/5min").left(495, 140_000)];
    let headers = answer(&allowed, &BOTH, ResetForm::Seconds, at(0));
    let read = hugging_face(text(&headers, "ratelimit"));
    assert_eq!(read, Some(Read { name: "api", remaining: 495, reset: 140 }));
    assert_eq!(hugging_face_policy(text(&headers, "ratelimit-policy")), Some((500, 300)));
}

#[test]
fn express_reads_ours_in_draft_7() {
    // Its own test's example.
    assert_eq!(express_draft_7("limit=100, remaining=25, reset=5"), Some([100, 25, 5]));
    let headers = answer(&refused(), &[Dialect::RateLimit07], ResetForm::Seconds, at(0));
    assert_eq!(express_draft_7(text(&headers, "ratelimit")), Some([500, 0, 300]));
    // It finds the policy by its number, the limit.
    let policies: sfv::List =
        sfv::Parser::new(text(&headers, "ratelimit-policy")).parse().expect("a list");
    assert_eq!(policies.len(), 2);
}

#[test]
fn express_does_not_take_draft_11_for_draft_7() {
    let headers = answer(&refused(), &BOTH, ResetForm::Seconds, at(0));
    assert_eq!(express_draft_7(text(&headers, "ratelimit")), None);
}

#[test]
fn both_forms_of_reset_are_told_apart() {
    let now = 1_764_000_000;
    let limits = [State::parsed("calls", "60/min").left(30, 29_001)];
    for form in [ResetForm::Seconds, ResetForm::Epoch] {
        let headers = answer(&limits, &BOTH, form, at(now * 1_000));
        assert_eq!(express_x_reset(&headers, now), Some(now + 30), "{form:?}");
    }
}

#[test]
fn octokit_reads_its_own_server() {
    // Recorded from api.github.com on Sun, 11 Nov 2012 18:43:28 GMT, with all calls used up.
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-limit", http::HeaderValue::from_static("60"));
    headers.insert("x-ratelimit-remaining", http::HeaderValue::from_static("0"));
    headers.insert("x-ratelimit-reset", http::HeaderValue::from_static("1352660008"));
    assert_eq!(octokit(&headers, 1_352_659_408_000), Some(601));
}

#[test]
fn octokit_waits_long_enough_with_the_epoch_form() {
    for now_ms in [1_764_000_000_000_u64, 1_764_000_000_001, 1_764_000_000_999] {
        let headers = answer(&refused(), &BOTH, ResetForm::Epoch, at(now_ms));
        let slept = octokit(&headers, i64::try_from(now_ms).expect("small")).expect("used up");
        assert!((300..=302).contains(&slept), "slept {slept} s for 299.5 s");
    }
}
