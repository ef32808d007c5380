//! What holds whatever is sent.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use tollgate::llm::{Counted, ServerLimits};

use crate::looser::{assert_not_looser, says_a_unit};
use crate::{NAMES, NOW, at, limits, on, read};

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => select(&NAMES[..]).prop_map(|name| name.as_bytes().to_vec()),
        1 => any::<Vec<u8>>(),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        (0_u64..20).prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        (any::<u16>(), any::<u16>()).prop_map(|(m, ms)| format!("{m}m{ms}ms")),
        (0..NOW * 2).prop_map(|secs| httpdate::fmt_http_date(at(secs))),
        // Lists, also of policies and states of the IETF drafts.
        prop::collection::vec(item(), 1..4).prop_map(|items| items.join(", ")),
        (0..NOW * 2).prop_map(|secs| humantime::format_rfc3339(at(secs)).to_string()),
        "[-+0-9a-zµ:. ,;=\"]{0,30}",
    ];
    prop_oneof![9 => text.prop_map(String::into_bytes), 1 => any::<Vec<u8>>()]
}

fn item() -> impl Strategy<Value = String> {
    let (number, window) = (0_u64..20, 0_u64..4);
    prop_oneof![
        number.clone().prop_map(|n| n.to_string()),
        (number.clone(), window.clone()).prop_map(|(n, w)| format!("{n};w={w}")),
        (number.clone(), window.clone()).prop_map(|(n, w)| format!("\"{w}\";q={n};w={w}")),
        (number.clone(), window).prop_map(|(n, w)| format!("\"{w}\";r={n};t={n}")),
        number.prop_map(|n| format!("limit={n}, remaining={n}, reset={n}")),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    prop::collection::vec((name(), value()), 1..12)
}

fn read_bytes(headers: &[(Vec<u8>, Vec<u8>)], received: u64) -> ServerLimits {
    ServerLimits::from_headers(headers.iter().map(|(name, value)| (name, value)), at(received))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn repeating_a_header_never_loosens(
        mut headers in headers(), which: Index, place: Index, value in value(), now in 0..NOW * 2,
    ) {
        let before = read_bytes(&headers, now);
        assert_not_looser(&before, &before);
        let name = which.get(&headers).0.clone();
        // A first valid date replaces our clock by the server's, which is not a repetition.
        prop_assume!(name != b"date" || headers.iter().any(is_date));
        prop_assume!(!says_a_unit(&value));
        headers.insert(place.index(headers.len() + 1), (name, value));
        let after = read_bytes(&headers, now);
        // Of more limits than are read, others may be read now.
        prop_assume!(after.iter().count() < 8);
        assert_not_looser(&before, &after);
    }

    #[test]
    fn the_order_of_headers_does_not_matter(
        (headers, shuffled) in headers().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        prop_assert_eq!(read_bytes(&headers, NOW), read_bytes(&shuffled, NOW));
    }

    #[test]
    fn what_a_server_prints_is_what_is_read(
        most in 1_u64.., used: u64, millis in 0_u64..4_000_000_000, secs in 0_u64..1_000_000_000,
    ) {
        let remaining = most - used % most;
        let (limit_text, remaining_text) = (most.to_string(), remaining.to_string());
        let reset = format!("{}h{}m{}ms", millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
        let later = humantime::format_rfc3339(at(NOW + secs)).to_string();
        let said = read(&[
            ("x-ratelimit-limit-tokens", &limit_text),
            ("x-ratelimit-remaining-tokens", &remaining_text),
            ("x-ratelimit-reset-tokens", &reset),
            ("anthropic-ratelimit-requests-reset", &later),
            ("retry-after", &secs.to_string()),
        ]);
        let requests = on(Counted::Requests).reset(secs * 1_000);
        let tokens = match most {
            // No server has such a limit: it gives no number.
            0x4000_0000_0000_0000.. => on(Counted::Tokens).unlimited(),
            _ => on(Counted::Tokens).limit(most).remaining(remaining).reset(millis),
        };
        prop_assert_eq!(limits(&said), [requests, tokens]);
        prop_assert_eq!(said.retry_after, Some(Duration::from_secs(secs)));
    }
}

#[test]
fn a_second_limit_of_zero_takes_no_state_away_from_the_first() {
    let one = ("ratelimit", "\"0\";r=1;t=1, 0;w=1");
    let before = read(&[one]);
    assert_not_looser(&before, &read(&[one, ("ratelimit", "0;w=2")]));
}

/// The two limits are one, because `x-tokenlimit-*` means that limits without a period are per
/// second.
#[test]
fn a_limit_without_a_number_takes_no_reset_away_from_the_same_limit() {
    let reset = ("anthropic-ratelimit-tokens-reset", "30");
    let stated = ("x-ratelimit-limit-tokens", "6;w=1");
    let together = ("x-tokenlimit-limit", "?");
    let before = read(&[reset, stated, together]);
    let after = read(&[reset, stated, together, ("x-ratelimit-limit-tokens", "-1")]);
    assert_not_looser(&before, &after);
}

/// `x-ratelimit-requests` is a limit or what is used of it, and stays so if its period is known.
#[test]
fn a_limit_with_a_period_takes_no_smaller_limit_away() {
    let limit_or_use = ("x-ratelimit-requests", "0");
    let remaining = ("x-ratelimit-remaining-requests", "0");
    let before = read(&[limit_or_use, remaining]);
    let hour = ("x-ratelimit-limit-requests-hour", "1");
    assert_not_looser(&before, &read(&[limit_or_use, remaining, hour]));
}

fn is_date((name, value): &(Vec<u8>, Vec<u8>)) -> bool {
    let text = std::str::from_utf8(value).unwrap_or_default();
    name == b"date" && httpdate::parse_http_date(text.trim()).is_ok()
}
