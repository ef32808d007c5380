//! Each number that is read of a recorded response is the header's, by a reading of the header that
//! shares nothing with the one of the crate.

use std::time::Duration;

use tollgate::llm::{Bound, Counted, Period, ServerLimit, ServerLimits};

use crate::data::{Recorded, all};
use crate::greedy::read;

/// How the providers of the recordings call their limits: a name with `{}` in the place of `limit`,
/// `remaining` or `reset`, and what that is.
const DIALECTS: [(&str, Counted, Option<Period>); 25] = [
    ("x-ratelimit-{}-requests", Counted::Requests, None),
    ("x-ratelimit-{}-tokens", Counted::Tokens, None),
    ("x-ratelimit-{}-tokens_usage_based", Counted::Tokens, None),
    ("x-ratelimit-{}-tokens-usage-based", Counted::Tokens, None),
    ("llm_provider-x-ratelimit-{}-requests", Counted::Requests, None),
    ("llm_provider-x-ratelimit-{}-tokens", Counted::Tokens, None),
    ("anthropic-ratelimit-requests-{}", Counted::Requests, None),
    ("anthropic-ratelimit-tokens-{}", Counted::Tokens, None),
    ("anthropic-ratelimit-input-tokens-{}", Counted::InputTokens, None),
    ("anthropic-ratelimit-output-tokens-{}", Counted::OutputTokens, None),
    ("x-ratelimit-{}-req-minute", Counted::Requests, Some(Period::MINUTE)),
    ("x-ratelimit-{}-requests-minute", Counted::Requests, Some(Period::MINUTE)),
    ("x-ratelimit-{}-requests-hour", Counted::Requests, Some(Period::HOUR)),
    ("x-ratelimit-{}-requests-day", Counted::Requests, Some(Period::DAY)),
    ("x-ratelimit-{}-req-10-second", Counted::Requests, Period::seconds(10)),
    ("x-ratelimit-{}-tokens-minute", Counted::Tokens, Some(Period::MINUTE)),
    ("x-ratelimit-{}-tokens-hour", Counted::Tokens, Some(Period::HOUR)),
    ("x-ratelimit-{}-tokens-day", Counted::Tokens, Some(Period::DAY)),
    ("x-ratelimit-{}-tokens-month", Counted::Tokens, Some(Period::MONTH)),
    ("ratelimitbysize-{}", Counted::Tokens, Some(Period::MINUTE)),
    ("x-ratelimitbysize-{}-minute", Counted::Tokens, Some(Period::MINUTE)),
    ("x-ratelimitbysize-{}-month", Counted::Tokens, Some(Period::MONTH)),
    ("x-trial-endpoint-call-{}", Counted::Requests, Some(Period::MINUTE)),
    ("x-ratelimit-{}", Counted::Requests, None),
    ("ratelimit-{}", Counted::Requests, None),
];

#[test]
fn each_number_is_the_headers() {
    let mut numbers = 0;
    for response in all() {
        let said = read(&response.headers);
        for limit in said.iter() {
            let context = || format!("{} {}: {limit:?}", response.provider, response.source);
            if let Some(Bound::Of(count)) = limit.limit {
                assert!(values(&response, limit, "limit").contains(&count), "{}", context());
                numbers += 1;
            }
            if let Some(count) = limit.remaining {
                let most = limit.limit.and_then(Bound::count).unwrap_or(u64::MAX);
                let stated = values(&response, limit, "remaining");
                assert!(stated.iter().any(|it| count == (*it).min(most)), "{}", context());
                numbers += 1;
            }
            if let Some(reset) = limit.reset_after {
                assert!(resets(&response, limit).contains(&reset), "{}", context());
                numbers += 1;
            }
        }
    }
    // None is left out: this is what there is in the recordings.
    assert!(numbers > 1_000, "{numbers}");
}

/// Each header that has a number of a limit is read.
#[test]
fn no_number_is_left_out() {
    for response in all() {
        let said = read(&response.headers);
        for (pattern, counted, period) in DIALECTS {
            for part in ["limit", "remaining", "reset"] {
                let name = pattern.replace("{}", part);
                let Some(value) = response.header(&name) else { continue };
                // A gateway's own, beside those of the model.
                if is_bare(pattern) && has_requests(&response) {
                    continue;
                }
                let of = |limit: &&ServerLimit| limit.counted == counted;
                let found = said.iter().filter(of).any(|limit| match part {
                    "limit" => limit.limit.is_some(),
                    "remaining" => limit.remaining.is_some(),
                    _ => limit.reset_after.is_some(),
                } && period.is_none_or(|period| limit.period == Some(period)));
                // The rest of an unlimited limit, and the negative one, are no numbers.
                let is_number = value != "-1" && value.parse().is_ok_and(|n: u64| n < 1 << 62);
                assert!(found || !is_number, "{} {}: {name}", response.provider, response.source);
            }
        }
    }
}

/// What each recording says to wait for is read, and nothing else.
#[test]
fn each_wait_is_the_headers() {
    for response in all() {
        let ServerLimits { retry_after, closed_for, .. } = read(&response.headers);
        let secs = response.header("retry-after").map(|text| text.parse().unwrap());
        assert_eq!(retry_after, secs.map(Duration::from_secs), "{}", response.source);
        assert_eq!(closed_for, None, "{}", response.source);
    }
}

fn is_bare(pattern: &str) -> bool {
    matches!(pattern, "x-ratelimit-{}" | "ratelimit-{}")
}

fn has_requests(response: &Recorded) -> bool {
    response.headers.iter().any(|(name, _)| name.contains("request"))
}

/// The numbers of the headers that are about this part of the limit.
fn values(response: &Recorded, limit: &ServerLimit, part: &str) -> Vec<u64> {
    let named = texts(response, limit, part).filter_map(|text| text.parse().ok());
    let name = if part == "limit" { "q=" } else { "r=" };
    named.chain(parameter(response, name)).chain(other_names(response, limit, part)).collect()
}

fn texts<'a>(
    response: &'a Recorded,
    limit: &ServerLimit,
    part: &'a str,
) -> impl Iterator<Item = &'a str> {
    let counted = limit.counted;
    let of = DIALECTS.into_iter().filter(move |(_, what, _)| *what == counted);
    let names = of.map(move |(pattern, ..)| pattern.replace("{}", part));
    names.filter_map(|name| response.header(&name))
}

/// A parameter of the fields of the IETF, as Hugging Face's hub writes them.
fn parameter(response: &Recorded, name: &str) -> Option<u64> {
    let fields = ["ratelimit", "ratelimit-policy"].into_iter();
    let text: String =
        fields.filter_map(|field| response.header(field)).collect::<Vec<_>>().join(";");
    let value = text.split(';').find_map(|part| part.strip_prefix(name))?;
    value.parse().ok()
}

/// Names that are like no other.
fn other_names(response: &Recorded, limit: &ServerLimit, part: &str) -> Option<u64> {
    let name = match (limit.counted, limit.period, part) {
        (Counted::Requests, Some(Period::MONTH), "limit") => "x-endpoint-monthly-call-limit",
        (Counted::Requests, Some(Period::MINUTE), "limit") => "x-ratelimit-limit-minute",
        (Counted::Requests, Some(Period::MINUTE), "remaining") => "x-ratelimit-remaining-minute",
        (Counted::Requests, None, "limit") => "x-ratelimit-requests",
        (Counted::Tokens, None, "limit") => "x-ratelimit-tokens",
        _ => return None,
    };
    response.header(name)?.parse().ok()
}

/// The resets that the headers about this limit state, in each form that they may have.
fn resets(response: &Recorded, limit: &ServerLimit) -> Vec<Duration> {
    let sent = response.header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    let read = |text: &str| {
        if let Ok(until) = humantime::parse_rfc3339(text) {
            return Some(until.duration_since(sent?).unwrap_or_default());
        }
        match text.parse::<u64>() {
            Ok(unix @ 1_000_000_000..) => {
                let unix = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(unix);
                Some(unix.duration_since(sent?).unwrap_or_default())
            }
            Ok(secs) => Some(Duration::from_secs(secs)),
            Err(_) => go_duration(text),
        }
    };
    let named = texts(response, limit, "reset").filter_map(read);
    named.chain(parameter(response, "t=").map(Duration::from_secs)).collect()
}

/// A duration such as `1h8m25.745s`, with floating point.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut secs) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|it: char| it.is_ascii_alphabetic())?;
        let (number, after) = rest.split_at(end);
        let unit = after.find(|it: char| !it.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let scale = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        secs += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    // To the nearest nanosecond.
    Duration::try_from_secs_f64(secs).ok()
}
