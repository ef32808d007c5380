//! A hostile server: no order of statuses and headers makes a limiter or a pool panic, exceed its
//! configured limits, or stay closed for longer than it is set to.
#![no_main]

#[path = "../../tests/support/hostile.rs"]
mod hostile;

use std::time::Duration;

use hostile::{Setting, Settling, Step};
use libfuzzer_sys::fuzz_target;
use tollgate::llm::{Burst, Tokens};

const NAMES: [&[u8]; 20] = [
    b"x-ratelimit-limit-requests",
    b"x-ratelimit-remaining-requests",
    b"x-ratelimit-reset-requests",
    b"x-ratelimit-renewalperiod-requests",
    b"x-ratelimit-limit-tokens",
    b"x-ratelimit-remaining-tokens",
    b"x-ratelimit-reset-tokens",
    b"x-ratelimit-limit-requests-minute",
    b"x-ratelimit-remaining-requests-minute",
    b"x-ratelimit-limit-tokens-month",
    b"anthropic-ratelimit-requests-limit",
    b"anthropic-ratelimit-requests-remaining",
    b"anthropic-ratelimit-requests-reset",
    b"anthropic-ratelimit-unified-status",
    b"anthropic-ratelimit-unified-reset",
    b"ratelimit",
    b"ratelimit-policy",
    b"ratelimit-reset",
    b"retry-after",
    b"date",
];

const STATUSES: [u16; 14] = [200, 201, 400, 401, 402, 403, 404, 408, 413, 429, 429, 500, 503, 529];

/// A step: what happens, to which request, two numbers, and headers.
type Raw<'a> = (u8, u8, u16, u32, Vec<(u8, &'a [u8])>);

fn step((verb, which, number, large, headers): Raw<'_>) -> Step {
    let tokens = Tokens::new(u64::from(number % 64), u64::from(number / 64 % 64));
    let which = usize::from(which);
    match verb % 8 {
        0..=2 => Step::Ask(tokens),
        3 => Step::Cancel(which),
        4 => Step::Wait(Duration::from_millis(large.into())),
        verb => Step::Answer {
            which,
            early: verb == 5,
            status: STATUSES[usize::from(number) % STATUSES.len()],
            headers: headers
                .into_iter()
                .map(|(name, value)| {
                    (NAMES[usize::from(name) % NAMES.len()].to_vec(), value.to_vec())
                })
                .collect(),
            used: Tokens::new(large.into(), u64::from(number)),
        },
    }
}

fuzz_target!(|input: (u8, u8, u8, u8, u16, Vec<Raw<'_>>)| {
    let (burst, requests, tokens, keep_back, pause, steps) = input;
    let setting = Setting {
        burst: match burst {
            0..=99 => Burst::Percent(burst + 1),
            100..=178 => Burst::Strict,
            _ => Burst::Full,
        },
        requests: requests.into(),
        tokens: tokens.into(),
        keep_back: keep_back % 91,
        max_pause: Duration::from_secs(60 + u64::from(pause)),
        max_spent_rest: Duration::from_secs(60 + u64::from(pause / 7)),
    };
    let steps: Vec<_> = steps.into_iter().take(64).map(step).collect();
    for settling in [Settling::AtMostTheEstimate, Settling::Anything] {
        hostile::run(setting, &steps, settling);
    }
});
