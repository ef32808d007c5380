//! Responses as the providers send them.

use std::time::Duration;

use tollgate::llm::{Bound, ServerLimits};

use crate::{NOW, at, limit, remaining_only, saying};

/// Reads lines of `name: value`.
fn read_lines(lines: &str) -> ServerLimits {
    let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.to_owned()));
    ServerLimits::from_headers(lines.lines().filter_map(header), at(NOW))
}

/// A provider, what it sent (as recorded, or printed in its guide), and what that says.
type Recorded = (&'static str, &'static str, ServerLimits);

fn check(table: impl IntoIterator<Item = Recorded>) {
    for (provider, headers, expected) in table {
        assert_eq!(read_lines(headers), expected, "{provider}");
    }
}

#[test]
fn openai_and_groq_responses() {
    check([
        (
            "OpenAI, the guide of June 2026",
            "x-ratelimit-limit-requests: 60
             x-ratelimit-limit-tokens: 150000
             x-ratelimit-remaining-requests: 59
             x-ratelimit-remaining-tokens: 149984
             x-ratelimit-reset-requests: 1s
             x-ratelimit-reset-tokens: 6m0s
             x-ratelimit-limit-project-tokens: 60000
             x-ratelimit-remaining-project-tokens: 57000
             x-ratelimit-reset-project-tokens: 3s",
            saying(|said| {
                said.requests = limit(60, 59, 1_000);
                said.tokens = limit(150_000, 149_984, 360_000);
                said.project_tokens = limit(60_000, 57_000, 3_000);
            }),
        ),
        (
            "OpenAI, January 2024",
            "openai-processing-ms: 749
             x-ratelimit-limit-requests: 200
             x-ratelimit-limit-tokens: 40000
             x-ratelimit-limit-tokens_usage_based: 40000
             x-ratelimit-remaining-requests: 197
             x-ratelimit-remaining-tokens: 39929
             x-ratelimit-remaining-tokens_usage_based: 39929
             x-ratelimit-reset-requests: 16m17.764s
             x-ratelimit-reset-tokens: 106ms
             x-ratelimit-reset-tokens_usage_based: 106ms",
            saying(|said| {
                said.requests = limit(200, 197, 977_764);
                said.tokens = limit(40_000, 39_929, 106);
            }),
        ),
        (
            "OpenAI, 429",
            "retry-after: 5
             retry-after-ms: 4321",
            saying(|said| said.retry_after = Some(Duration::from_millis(4_321))),
        ),
        (
            "Groq, whose requests are per day",
            "retry-after: 2
             x-ratelimit-limit-requests: 14400
             x-ratelimit-limit-tokens: 18000
             x-ratelimit-remaining-requests: 14370
             x-ratelimit-remaining-tokens: 17997
             x-ratelimit-reset-requests: 2m59.56s
             x-ratelimit-reset-tokens: 7.66s",
            saying(|said| {
                said.requests = limit(14_400, 14_370, 179_560);
                said.tokens = limit(18_000, 17_997, 7_660);
                said.retry_after = Some(Duration::from_secs(2));
            }),
        ),
    ]);
}

#[test]
fn azure_responses() {
    check([
        (
            "Azure, December 2023 (openai-python#937)",
            "x-rate-limit-reset-tokens: 55
             x-ratelimit-remaining-requests: 11
             policy-id: DeploymentRatelimit-Token",
            saying(|said| {
                said.tokens.reset_after = Some(Duration::from_secs(55));
                said.requests = remaining_only(11);
            }),
        ),
        (
            "Azure, March 2024 (oaib#11)",
            "x-ratelimit-remaining-requests: 79
             x-ratelimit-remaining-tokens: 61353
             date: Sat, 02 Mar 2024 21:35:09 GMT",
            saying(|said| {
                said.requests = remaining_only(79);
                said.tokens = remaining_only(61_353);
            }),
        ),
        (
            "Azure, November 2025, on a 429: it does not know (openai-dotnet#838)",
            "x-ratelimit-limit-tokens: -1
             x-ratelimit-remaining-tokens: -1
             x-ratelimit-reset-tokens: 0",
            saying(|said| said.tokens.limit = Some(Bound::Unlimited)),
        ),
        (
            "GitHub Models, on Azure",
            "x-ratelimit-limit-requests: 20000
             x-ratelimit-remaining-requests: 19999
             x-ratelimit-limit-tokens: 2000000
             x-ratelimit-remaining-tokens: 1999962
             x-ratelimit-renewalperiod-requests: 60
             x-ratelimit-renewalperiod-tokens: 60
             x-ratelimit-reset-requests: 3
             x-ratelimit-reset-tokens: 1
             x-ratelimit-abusepenalty-active: False",
            saying(|said| {
                said.requests = limit(20_000, 19_999, 3_000);
                said.tokens = limit(2_000_000, 1_999_962, 1_000);
                said.requests.period = Some(Duration::from_secs(60));
                said.tokens.period = Some(Duration::from_secs(60));
            }),
        ),
    ]);
}

#[test]
fn responses_of_other_dialects() {
    check([
        (
            "Cerebras",
            "x-ratelimit-limit-requests-day: 10000
             x-ratelimit-remaining-requests-day: 9500
             x-ratelimit-reset-requests-day: 33011.382867
             x-ratelimit-limit-requests-minute: 120
             x-ratelimit-remaining-requests-minute: 115
             x-ratelimit-reset-requests-minute: 45.5
             x-ratelimit-limit-tokens-minute: 200000
             x-ratelimit-remaining-tokens-minute: 195000
             x-ratelimit-reset-tokens-minute: 30.2",
            saying(|said| {
                said.requests_per_day = limit(10_000, 9_500, 0);
                said.requests_per_day.reset_after = Some(Duration::from_micros(33_011_382_867));
                said.requests = limit(120, 115, 45_500);
                said.tokens = limit(200_000, 195_000, 30_200);
            }),
        ),
        (
            "Mistral",
            "x-ratelimit-limit-req-minute: 50
             x-ratelimit-limit-tokens-minute: 50000
             x-ratelimit-remaining-tokens-minute: 47300
             x-ratelimit-remaining-req-minute: 49
             x-ratelimit-tokens-query-cost: 1300",
            saying(|said| {
                said.requests = remaining_only(49);
                said.requests.limit = Some(Bound::Of(50));
                said.tokens = remaining_only(47_300);
                said.tokens.limit = Some(Bound::Of(50_000));
            }),
        ),
        (
            "OpenRouter, free models: reset in Unix milliseconds",
            "X-RateLimit-Limit: 50
             X-RateLimit-Remaining: 0
             X-RateLimit-Reset: 1755820800000",
            saying(|said| said.requests = limit(50, 0, (1_755_820_800 - NOW) * 1_000)),
        ),
    ]);
}

#[test]
fn anthropic_responses() {
    check([(
        "Anthropic, August 2025: resets are up to a second before the response's own date",
        "date: Thu, 21 Aug 2025 12:41:00 GMT
             anthropic-ratelimit-requests-limit: 1000
             anthropic-ratelimit-requests-remaining: 999
             anthropic-ratelimit-requests-reset: 2025-08-21T12:40:59Z
             anthropic-ratelimit-input-tokens-limit: 80000
             anthropic-ratelimit-input-tokens-remaining: 80000
             anthropic-ratelimit-input-tokens-reset: 2025-08-21T12:41:00Z
             anthropic-ratelimit-output-tokens-limit: 16000
             anthropic-ratelimit-output-tokens-remaining: 16000
             anthropic-ratelimit-output-tokens-reset: 2025-08-21T12:41:00Z
             anthropic-ratelimit-tokens-limit: 96000
             anthropic-ratelimit-tokens-remaining: 96000
             anthropic-ratelimit-tokens-reset: 2025-08-21T12:41:02Z
             anthropic-priority-input-tokens-limit: 1
             anthropic-fast-output-tokens-limit: 1
             retry-after: 60",
        saying(|said| {
            said.requests = limit(1_000, 999, 0);
            said.input_tokens = limit(80_000, 80_000, 0);
            said.output_tokens = limit(16_000, 16_000, 0);
            said.tokens = limit(96_000, 96_000, 2_000);
            said.retry_after = Some(Duration::from_secs(60));
        }),
    )]);
}
