//! A hostile server: no order of statuses and headers makes a client panic, exceed its configured
//! limits, or stay closed for longer than it is set to.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tollgate::llm::{Burst, Tokens};

use crate::hostile::{Setting, Settling, Step, run};

const NAMES: [&str; 24] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-renewalperiod-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-limit-requests-minute",
    "x-ratelimit-remaining-requests-minute",
    "x-ratelimit-limit-tokens-month",
    "x-ratelimit-remaining-tokens-month",
    "x-ratelimit-limit-output-tokens-7-second",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-remaining",
    "anthropic-ratelimit-requests-reset",
    "anthropic-ratelimit-unified-status",
    "anthropic-ratelimit-unified-reset",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-reset",
    "retry-after",
    "retry-after-ms",
    "date",
];

const STATUSES: [u16; 15] =
    [200, 200, 200, 201, 400, 401, 402, 403, 404, 408, 429, 429, 500, 503, 529];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u64..20).prop_map(|n| n.to_string()),
        2 => any::<u32>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => (1_786_630_000_u64..1_786_900_000).prop_map(|n| n.to_string()),
        2 => (0_u64..100_000).prop_map(|millis| format!("{millis}ms")),
        1 => (0_u64..100).prop_map(|hours| format!("{hours}h")),
        1 => (0_u64..30, 0_u64..90).prop_map(|(n, w)| format!("{n};w={w}")),
        1 => (0_u64..30, 0_u64..90).prop_map(|(n, w)| format!("\"p\";q={n};w={w}")),
        1 => (0_u64..30, 0_u64..9_000).prop_map(|(n, t)| format!("\"p\";r={n};t={t}")),
        1 => select(&["-1", "rejected", "allowed", "1e9", "", "Thu, 13 Aug 2026 15:36:00 GMT"][..])
            .prop_map(str::to_owned),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let header = (select(&NAMES[..]), value());
    let bytes = header.prop_map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()));
    prop::collection::vec(bytes, 0..6)
}

fn tokens() -> impl Strategy<Value = Tokens> {
    (0_u64..40, 0_u64..40).prop_map(|(input, output)| Tokens::new(input, output))
}

fn step() -> impl Strategy<Value = Step> {
    let used = prop_oneof![
        3 => tokens(),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(input, output)| Tokens::new(input, output)),
    ];
    let answer =
        (any::<usize>(), prop::bool::weighted(0.2), select(&STATUSES[..]), headers(), used);
    prop_oneof![
        4 => tokens().prop_map(Step::Ask),
        4 => answer.prop_map(|(which, early, status, headers, used)| {
            Step::Answer { which, early, status, headers, used }
        }),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => (0_u64..70_000).prop_map(|millis| Step::Wait(Duration::from_millis(millis))),
        1 => (0_u64..200_000).prop_map(|secs| Step::Wait(Duration::from_secs(secs))),
    ]
}

fn setting() -> impl Strategy<Value = Setting> {
    let burst =
        prop_oneof![Just(Burst::Full), Just(Burst::Strict), (1_u8..=100).prop_map(Burst::Percent),];
    let limit = || prop_oneof![Just(0), 1_u64..20, 100_u64..200];
    let longest = || (60_u64..10_000).prop_map(Duration::from_secs);
    let all = (burst, limit(), limit(), 0_u8..=90, longest(), longest());
    all.prop_map(|(burst, requests, tokens, keep_back, max_pause, max_spent_rest)| Setting {
        burst,
        requests,
        tokens,
        keep_back,
        max_pause,
        max_spent_rest,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn of_a_client_that_settles_its_estimates(setting in setting(), steps in steps()) {
        run(setting, &steps, Settling::AtMostTheEstimate);
    }

    /// What a client settles itself may be any debt, so it can close itself for longer.
    #[test]
    fn of_a_client_that_settles_anything(setting in setting(), steps in steps()) {
        run(setting, &steps, Settling::Anything);
    }
}

/// What is kept back for others makes no debt that outlasts the longest pause.
#[test]
fn what_is_kept_back_closes_nothing_for_longer() {
    let setting = Setting {
        burst: Burst::Full,
        requests: 0,
        tokens: 0,
        keep_back: 90,
        max_pause: Duration::from_secs(3_600),
        max_spent_rest: Duration::from_secs(3_600),
    };
    let headers = [
        ("anthropic-ratelimit-requests-limit", "100"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "86400"),
    ];
    let headers: Vec<_> = headers.map(|(name, value)| (name.into(), value.into())).into();
    let used = Tokens::new(0, 0);
    let answer = Step::Answer { which: 0, early: false, status: 200, headers, used };
    let ask = Step::Ask(Tokens::new(0, 0));
    let steps = [ask.clone(), ask, answer.clone(), answer];
    run(setting, &steps, Settling::AtMostTheEstimate);
}
