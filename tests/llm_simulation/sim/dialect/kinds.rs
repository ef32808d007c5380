//! Headers that tell each kind of limit under a name of its own.

use super::text::{go_duration, http_date, rfc3339};
use super::{Counter, Headers, Nanos, SECOND};
use crate::sim::Counts;

/// How a name calls what is counted.
fn word(counts: Counts) -> &'static str {
    match counts {
        Counts::Requests => "requests",
        Counts::Tokens => "tokens",
        Counts::InputTokens => "input-tokens",
        Counts::OutputTokens => "output-tokens",
    }
}

fn each(
    counters: &mut [Counter],
    mut write: impl FnMut(&mut Counter, &mut dyn FnMut(String, String)),
) -> Headers {
    let mut headers = Vec::new();
    for counter in counters {
        write(counter, &mut |name, value| headers.push((name, value)));
    }
    headers
}

/// Limit and remaining, as most servers name them.
fn limit_and_remaining(
    counter: &mut Counter,
    now: Nanos,
    suffix: &str,
    put: &mut dyn FnMut(String, String),
) {
    put(format!("x-ratelimit-limit-{suffix}"), counter.limit.to_string());
    put(format!("x-ratelimit-remaining-{suffix}"), counter.remaining(now).to_string());
}

pub(super) fn open_ai(counters: &mut [Counter], now: Nanos) -> Headers {
    each(counters, |counter, put| {
        let word = word(counter.counts);
        limit_and_remaining(counter, now, word, put);
        put(format!("x-ratelimit-reset-{word}"), go_duration(counter.reset(now)));
    })
}

/// Its `reset` is rounded down, and so is often zero.
pub(super) fn azure(counters: &mut [Counter], now: Nanos) -> Headers {
    each(counters, |counter, put| {
        let word = word(counter.counts);
        limit_and_remaining(counter, now, word, put);
        let period = (counter.period / SECOND).to_string();
        put(format!("x-ratelimit-renewalperiod-{word}"), period);
        let reset = (counter.reset(now) / SECOND).to_string();
        put(format!("x-ratelimit-reset-{word}"), reset);
    })
}

pub(super) fn without_reset(counters: &mut [Counter], now: Nanos) -> Headers {
    each(counters, |counter, put| {
        limit_and_remaining(counter, now, word(counter.counts), put);
    })
}

pub(super) fn period_in_name(requests: &str, counters: &mut [Counter], now: Nanos) -> Headers {
    each(counters, |counter, put| {
        let word = match counter.counts {
            Counts::Requests => requests,
            tokens => word(tokens),
        };
        let suffix = format!("{word}-{}", counter.period_name());
        limit_and_remaining(counter, now, &suffix, put);
    })
}

pub(super) fn anthropic(counters: &mut [Counter], now: Nanos) -> Headers {
    let mut headers = vec![("date".to_owned(), http_date(now))];
    headers.extend(each(counters, |counter, put| {
        let word = word(counter.counts);
        let remaining = match counter.counts {
            Counts::Requests => counter.remaining(now),
            _ => (counter.remaining(now) + 500) / 1_000 * 1_000,
        };
        put(format!("anthropic-ratelimit-{word}-limit"), counter.limit.to_string());
        put(format!("anthropic-ratelimit-{word}-remaining"), remaining.to_string());
        put(format!("anthropic-ratelimit-{word}-reset"), rfc3339(now + counter.reset(now)));
    }));
    headers
}
