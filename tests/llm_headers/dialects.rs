//! Dialects of other providers and gateways, and the IETF drafts.

use std::time::Duration;

use tollgate::llm::Counted::{InputTokens, OutputTokens, Requests, Tokens};

use crate::{NOW, Said, limits, on, read, read_lines};

fn check(headers: &str, expected: &[Said]) {
    assert_eq!(limits(&read_lines(headers)), expected, "{headers}");
}

#[test]
fn cerebras_says_the_period_in_the_name() {
    check(
        "x-ratelimit-limit-requests-day: 2400
         x-ratelimit-remaining-requests-day: 2399
         x-ratelimit-reset-requests-day: 33011.5
         x-ratelimit-limit-requests-hour: 150
         x-ratelimit-remaining-requests-hour: 149
         x-ratelimit-limit-requests-minute: 5
         x-ratelimit-remaining-requests-minute: 4
         x-ratelimit-limit-tokens-minute: 30000
         x-ratelimit-reset-tokens-minute: 30.2",
        &[
            on(Requests).per(60).limit(5).remaining(4),
            on(Requests).per(3_600).limit(150).remaining(149),
            on(Requests).per(86_400).limit(2_400).remaining(2_399).reset(33_011_500),
            on(Tokens).per(60).limit(30_000).reset(30_200),
        ],
    );
}

#[test]
fn mistral_has_periods_of_its_own_and_had_other_names() {
    check(
        "x-ratelimit-limit-req-minute: 4
         x-ratelimit-remaining-req-minute: 3
         x-ratelimit-limit-req-10-second: 2
         x-ratelimit-remaining-req-10-second: 0
         x-ratelimit-limit-tokens-5-minute: 50000
         x-ratelimit-remaining-tokens-5-minute: 47300
         x-ratelimit-limit-tokens-month: 1000000000
         x-ratelimit-limit-audio-seconds-minute: 2000
         x-ratelimit-tokens-query-cost: 1300",
        &[
            on(Requests).per(10).limit(2).remaining(0),
            on(Requests).per(60).limit(4).remaining(3),
            on(Tokens).per(300).limit(50_000).remaining(47_300),
            on(Tokens).per(2_592_000).limit(1_000_000_000),
        ],
    );
    check(
        "ratelimitbysize-limit: 500000
         ratelimitbysize-remaining: 307190
         ratelimitbysize-reset: 46
         ratelimitbysize-query-cost: 32013
         x-ratelimitbysize-limit-minute: 500000
         x-ratelimitbysize-remaining-minute: 307190
         x-ratelimitbysize-limit-month: 1000000000
         x-ratelimitbysize-remaining-month: 997278920",
        &[
            on(Tokens).per(60).limit(500_000).remaining(307_190).reset(46_000),
            on(Tokens).per(2_592_000).limit(1_000_000_000).remaining(997_278_920),
        ],
    );
}

#[test]
fn fireworks_together_cohere_and_openrouter() {
    check(
        "x-ratelimit-limit-tokens-prompt: 11250000
         x-ratelimit-limit-tokens-cache-adjusted-prompt: 5400000
         x-ratelimit-limit-tokens-generated: 36000
         x-ratelimit-remaining-tokens-generated: 0
         x-ratelimit-over-limit: yes",
        &[
            // The stricter of the two limits on input.
            on(InputTokens).limit(5_400_000),
            on(OutputTokens).limit(36_000).remaining(0),
        ],
    );
    // Per second: a limit of tokens beside one that does not say what it limits.
    check(
        "x-ratelimit-limit: 10
         x-ratelimit-remaining: 19
         x-ratelimit-reset: 1
         x-ratelimit-limit-tokens: 3000
         x-ratelimit-remaining-tokens: 2900",
        &[
            on(Requests).per(1).limit(10).remaining(10).reset(1_000),
            on(Tokens).per(1).limit(3_000).remaining(2_900),
        ],
    );
    check("x-tokenlimit-limit: 2000", &[on(Tokens).per(1).limit(2_000)]);
    check(
        "x-trial-endpoint-call-limit: 20
         x-trial-endpoint-call-remaining: 19
         x-endpoint-monthly-call-limit: 1000",
        &[on(Requests).per(60).limit(20).remaining(19), on(Requests).per(2_592_000).limit(1_000)],
    );
    let reset = (NOW + 42) * 1_000;
    check(
        &format!("X-RateLimit-Limit: 50\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: {reset}"),
        &[on(Requests).limit(50).remaining(0).reset(42_000)],
    );
}

#[test]
fn every_ietf_draft() {
    let one = on(Requests).per(60).limit(100).remaining(50).reset(30_000);
    for headers in [
        // Drafts 3 to 6.
        "RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 50\nRateLimit-Reset: 30",
        "RateLimit-Limit: 100\nRateLimit-Remaining: 50\nRateLimit-Reset: 30\nRateLimit-Policy: 100;w=60",
        // Draft 7.
        "RateLimit: limit=100, remaining=50, reset=30\nRateLimit-Policy: 100;w=60;comment=\"x\"",
        // Drafts 8 to 11.
        "RateLimit: \"default\";r=50;t=30\nRateLimit-Policy: \"default\";q=100;w=60;qu=\"requests\"",
        // Hugging Face.
        "RateLimit: \"api\";r=50;t=30\nRateLimit-Policy: \"fixed window\";\"api\";q=100;w=60",
        // A state that is said twice, with the period and without it (Hugging Face's router).
        "ratelimit-limit: 100\nratelimit-remaining: 50\nratelimit-reset: 30\n\
         x-ratelimit-limit-minute: 100\nx-ratelimit-remaining-minute: 50",
    ] {
        check(headers, &[one]);
    }
    // Without a policy, no header says the period.
    check(
        "RateLimit-Limit: 1000\nRateLimit-Remaining: 0\nRateLimit-Reset: 295",
        &[on(Requests).limit(1_000).remaining(0).reset(295_000)],
    );
    // Of two policies with the same limit, the longer period is the stricter one.
    check(
        "RateLimit-Limit: 100, 100;w=1, 100;w=3600\nRateLimit-Remaining: 50",
        &[on(Requests).per(1).limit(100), on(Requests).per(3_600).limit(100).remaining(50)],
    );
    check(
        "RateLimit-Policy: \"tpm\";q=9000;w=60;qu=\"tokens\", \"bytes\";q=1;w=1;qu=\"content-bytes\"",
        &[on(Tokens).per(60).limit(9_000)],
    );
}

#[test]
fn headers_of_a_gateway_and_of_a_subscription() {
    check(
        "llm_provider-x-ratelimit-limit-requests: 15000
         llm_provider-x-ratelimit-remaining-requests: 14999
         llm_provider-x-ratelimit-reset-requests: 4ms",
        &[on(Requests).limit(15_000).remaining(14_999).reset(4)],
    );
    let reset = (NOW + 600).to_string();
    let closed_for = |status, overage| {
        let headers = [
            ("anthropic-ratelimit-unified-status", status),
            ("anthropic-ratelimit-unified-reset", reset.as_str()),
            ("anthropic-ratelimit-unified-overage-status", overage),
        ];
        read(&headers).closed_for
    };
    assert_eq!(closed_for("allowed", "rejected"), None);
    assert_eq!(closed_for("allowed_warning", "allowed"), None);
    assert_eq!(closed_for("rejected", "allowed"), Some(Duration::from_secs(600)));
}
