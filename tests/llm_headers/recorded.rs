//! Responses of the widely used providers, as recorded or printed in their guides.

use std::time::Duration;

use tollgate::llm::Counted::{InputTokens, OutputTokens, ProjectTokens, Requests, Tokens};

use crate::{Said, limits, on, read_lines};

/// A provider, what it sent (as recorded, or printed in its guide), and what that says.
type Recorded = (&'static str, &'static str, Vec<Said>);

fn check(table: impl IntoIterator<Item = Recorded>) {
    for (provider, headers, expected) in table {
        assert_eq!(limits(&read_lines(headers)), expected, "{provider}");
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
            vec![
                on(Requests).limit(60).remaining(59).reset(1_000),
                on(Tokens).limit(150_000).remaining(149_984).reset(360_000),
                on(ProjectTokens).limit(60_000).remaining(57_000).reset(3_000),
            ],
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
            vec![
                on(Requests).limit(200).remaining(197).reset(977_764),
                on(Tokens).limit(40_000).remaining(39_929).reset(106),
            ],
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
            vec![
                on(Requests).limit(14_400).remaining(14_370).reset(179_560),
                on(Tokens).limit(18_000).remaining(17_997).reset(7_660),
            ],
        ),
    ]);
    let wait = read_lines("retry-after: 5\nretry-after-ms: 4321").retry_after;
    assert_eq!(wait, Some(Duration::from_millis(4_321)), "OpenAI, 429");
}

#[test]
fn azure_responses() {
    check([
        (
            "Azure, December 2023 (openai-python#937)",
            "x-rate-limit-reset-tokens: 55
             x-ratelimit-remaining-requests: 11
             policy-id: DeploymentRatelimit-Token",
            vec![on(Requests).remaining(11), on(Tokens).reset(55_000)],
        ),
        (
            "Azure, November 2025, on a 429: it does not know (openai-dotnet#838)",
            "x-ratelimit-limit-tokens: -1
             x-ratelimit-remaining-tokens: -1
             x-ratelimit-reset-tokens: 0",
            vec![on(Tokens).unlimited()],
        ),
        (
            "GitHub Models, on Azure",
            "x-ratelimit-limit-requests: 20000
             x-ratelimit-remaining-requests: 19999
             x-ratelimit-limit-tokens: 2000000
             x-ratelimit-remaining-tokens: 1999962
             x-ratelimit-renewalperiod-requests: 60
             x-ratelimit-renewalperiod-tokens: 10
             x-ratelimit-reset-requests: 3
             x-ratelimit-reset-tokens: 1
             x-ratelimit-abusepenalty-active: False",
            vec![
                on(Requests).per(60).limit(20_000).remaining(19_999).reset(3_000),
                on(Tokens).per(10).limit(2_000_000).remaining(1_999_962).reset(1_000),
            ],
        ),
    ]);
}

#[test]
fn anthropic_responses() {
    check([
        (
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
             anthropic-fast-output-tokens-limit: 1",
            vec![
                on(Requests).limit(1_000).remaining(999).reset(0),
                on(Tokens).limit(96_000).remaining(96_000).reset(2_000),
                on(InputTokens).limit(80_000).remaining(80_000).reset(0),
                on(OutputTokens).limit(16_000).remaining(16_000).reset(0),
            ],
        ),
        (
            "Anthropic behind OpenAI's interface, whose names lack the word",
            "x-ratelimit-requests: 4000
             x-ratelimit-remaining-requests: 3999
             x-ratelimit-tokens: 2400000
             x-ratelimit-remaining-tokens: 2400000",
            vec![
                on(Requests).limit(4_000).remaining(3_999),
                on(Tokens).limit(2_400_000).remaining(2_400_000),
            ],
        ),
    ]);
}
