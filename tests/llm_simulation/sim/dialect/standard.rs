//! Headers whose names do not say what is counted.

use super::text::whole_seconds;
use super::{Counter, Headers, Nanos, SECOND};
use crate::sim::Counts;

/// Each limit as `{family}-limit`, `{family}-remaining` and `{family}-reset`.
fn family(family: &str, counter: &mut Counter, now: Nanos) -> Headers {
    let (limit, remaining) = (counter.limit, counter.remaining(now));
    vec![
        (format!("{family}-limit"), limit.to_string()),
        (format!("{family}-remaining"), remaining.to_string()),
        (format!("{family}-reset"), whole_seconds(counter.reset(now))),
    ]
}

pub(super) fn plain(counters: &mut [Counter], now: Nanos) -> Headers {
    let of = |counter: &mut Counter| match counter.counts {
        Counts::Requests => family("x-ratelimit", counter, now),
        _ => family("x-tokenlimit", counter, now),
    };
    counters.iter_mut().flat_map(of).collect()
}

/// The limit of which the smallest share is left.
fn tightest(counters: &mut [Counter], now: Nanos) -> &mut Counter {
    let share = |counter: &mut Counter| u128::from(counter.remaining(now)) << 64;
    let key = |counter: &mut Counter| share(counter) / u128::from(counter.limit);
    let shares: Vec<_> = counters.iter_mut().map(key).collect();
    let least = (0..shares.len()).min_by_key(|number| shares[*number]).unwrap();
    &mut counters[least]
}

pub(super) fn draft6(counters: &mut [Counter], now: Nanos) -> Headers {
    let policies = counters.iter().map(|c| format!("{};w={}", c.limit, c.period / SECOND));
    let policy = policies.collect::<Vec<_>>().join(", ");
    let mut headers = family("ratelimit", tightest(counters, now), now);
    headers.push(("ratelimit-policy".to_owned(), policy));
    headers
}

pub(super) fn draft8(counters: &mut [Counter], now: Nanos) -> Headers {
    let name = |counter: &Counter| match counter.counts {
        Counts::Requests => "requests",
        _ => "tokens",
    };
    let policy = |c: &Counter| format!("\"{}\";q={};w={}", name(c), c.limit, c.period / SECOND);
    let policies = counters.iter().map(policy).collect::<Vec<_>>().join(", ");
    let state = |counter: &mut Counter| {
        let (remaining, reset) = (counter.remaining(now), whole_seconds(counter.reset(now)));
        format!("\"{}\";r={remaining};t={reset}", name(counter))
    };
    let states = counters.iter_mut().map(state).collect::<Vec<_>>().join(", ");
    vec![("ratelimit-policy".to_owned(), policies), ("ratelimit".to_owned(), states)]
}
