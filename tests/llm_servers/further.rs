//! Further responses, from `tests/data/provider_responses.jsonl` and `docs/llm-providers.md`, and
//! what a limiter and a pool make of each.

use std::time::Duration;

use tollgate::llm::{Counted, LimitKind, Period, Reply, Tokens};

use crate::greedy::{Client, read};

/// What is right.
enum Right {
    /// The next request goes at once.
    AtOnce,
    /// The next request goes after exactly this many seconds.
    After(f64),
    /// The next request goes after between so many and so many seconds.
    Between(f64, f64),
    /// A greedy client gets between so many and so many, within so many seconds.
    Gets(Counted, u64, u64, u64),
    /// This limit is in force, with so much in a period.
    Limit(Counted, u32, u64),
}

use Right::{After, AtOnce, Between, Gets, Limit};

/// A response, as lines of `name: value`, and what is right after it.
type Row = (&'static str, u16, &'static str, &'static [Right]);

const REQUEST: Tokens = Tokens::new(100, 50);

const ROWS: &[Row] = &[
    // Which period a limit counts over.
    (
        "OpenAI, requests per day: 8.64 s for 1 of 10,000",
        200,
        "x-ratelimit-limit-requests: 10000
         x-ratelimit-remaining-requests: 9999
         x-ratelimit-reset-requests: 8.64s",
        &[
            AtOnce,
            Limit(Counted::Requests, 86_400, 10_000),
            Gets(Counted::Requests, 3_600, 9_900, 10_417),
        ],
    ),
    (
        "OpenAI, a month: 83h10m39s for 11,553 of 100,000",
        200,
        "x-ratelimit-limit-tokens: 100000
         x-ratelimit-remaining-tokens: 88447
         x-ratelimit-reset-tokens: 83h10m39.057s",
        &[AtOnce, Limit(Counted::Tokens, 2_592_000, 100_000)],
    ),
    (
        "OpenAI, tokens per minute: 26.521 s for 88,404 of 200,000",
        200,
        "x-ratelimit-limit-tokens: 200000
         x-ratelimit-remaining-tokens: 111596
         x-ratelimit-reset-tokens: 26.521s",
        &[AtOnce, Limit(Counted::Tokens, 60, 200_000)],
    ),
    (
        "Groq, requests per day without what remains",
        200,
        "x-ratelimit-limit-requests: 14400
         x-ratelimit-remaining-requests: 14399
         x-ratelimit-reset-requests: 6s",
        &[AtOnce, Limit(Counted::Requests, 86_400, 14_400)],
    ),
    (
        "xAI, without a reset: per minute",
        200,
        "x-ratelimit-limit-requests: 1800
         x-ratelimit-remaining-requests: 1789",
        &[AtOnce, Limit(Counted::Requests, 60, 1_800)],
    ),
    (
        "SambaNova, a minute and a day",
        200,
        "x-ratelimit-limit-requests: 20
         x-ratelimit-remaining-requests: 19
         x-ratelimit-limit-requests-day: 400
         x-ratelimit-remaining-requests-day: 399",
        &[AtOnce, Limit(Counted::Requests, 60, 20), Gets(Counted::Requests, 3_600, 390, 416)],
    ),
    (
        "Hugging Face's hub, five minutes",
        200,
        "ratelimit: \"api\";r=499;t=112
         ratelimit-policy: \"fixed window\";\"api\";q=500;w=300",
        &[AtOnce, Limit(Counted::Requests, 300, 500), Gets(Counted::Requests, 3_600, 5_900, 6_020)],
    ),
    (
        "Hugging Face's router: one limit, said twice",
        200,
        "ratelimit-limit: 400
         ratelimit-remaining: 398
         ratelimit-reset: 18
         x-ratelimit-limit-minute: 400
         x-ratelimit-remaining-minute: 398",
        &[AtOnce, Limit(Counted::Requests, 60, 400)],
    ),
    (
        "Cohere's trial",
        200,
        "x-trial-endpoint-call-limit: 20
         x-trial-endpoint-call-remaining: 19
         x-endpoint-monthly-call-limit: 1000",
        &[AtOnce, Limit(Counted::Requests, 60, 20), Limit(Counted::Requests, 2_592_000, 1_000)],
    ),
    (
        "Novu, two policies of draft 6",
        200,
        "ratelimit-limit: 300
         ratelimit-remaining: 299
         ratelimit-reset: 5
         ratelimit-policy: 300;w=5;burst=330;comment=\"token bucket\"",
        &[AtOnce, Limit(Counted::Requests, 5, 300)],
    ),
    (
        "LiteLLM before OpenAI",
        200,
        "llm_provider-x-ratelimit-limit-requests: 15000
         llm_provider-x-ratelimit-remaining-requests: 14999
         llm_provider-x-ratelimit-reset-requests: 4ms",
        &[AtOnce, Limit(Counted::Requests, 60, 15_000)],
    ),
    // What a limit with nothing left means.
    (
        "OpenAI, nothing left until the reset",
        429,
        "x-ratelimit-limit-requests: 200
         x-ratelimit-remaining-requests: 0
         x-ratelimit-reset-requests: 7m12s
         retry-after: 432",
        &[After(432.0)],
    ),
    (
        "OpenRouter, free models: reset in Unix milliseconds",
        429,
        "x-ratelimit-limit: 50
         x-ratelimit-remaining: 0
         x-ratelimit-reset: 1786635477000",
        // In a window 57 s; if it refills evenly, a minute to all of it.
        &[Between(57.0, 60.0)],
    ),
    (
        "Mistral, whose 429 has no wait",
        429,
        "x-ratelimit-limit-req-minute: 23
         x-ratelimit-remaining-req-minute: 0",
        &[Between(10.0, 60.0)],
    ),
    (
        "Mistral until 2025: tokens, 46 s before the end of the clock's minute",
        200,
        "ratelimitbysize-limit: 500000
         ratelimitbysize-remaining: 0
         ratelimitbysize-reset: 46",
        &[After(46.0)],
    ),
    (
        "Fireworks, nothing generated is left, and nothing says until when",
        429,
        "x-ratelimit-limit-tokens-generated: 36000
         x-ratelimit-remaining-tokens-generated: 0
         x-ratelimit-over-limit: no",
        &[Between(1.0, 60.0), Limit(Counted::OutputTokens, 60, 36_000)],
    ),
    // What a wait means, by status.
    ("a batch that is polled", 200, "retry-after: 10", &[AtOnce]),
    ("Anthropic subscription", 429, "retry-after: 13262", &[After(13_262.0)]),
    (
        "GitHub Models, per minute",
        429,
        "x-ratelimit-type: UserByMinute\nretry-after: 55",
        &[After(55.0)],
    ),
    ("Azure, both forms", 429, "retry-after: 1\nretry-after-ms: 0", &[After(1.0)]),
    ("Azure, milliseconds", 429, "retry-after: 5\nretry-after-ms: 4321", &[After(4.321)]),
    ("an overload with a wait", 529, "retry-after: 7", &[After(7.0)]),
    ("an overload with a wait", 503, "retry-after: 7", &[After(7.0)]),
    ("a failure with a wait, which is not believed", 500, "retry-after: 700", &[AtOnce]),
    ("Groq: a request that is too large", 413, "retry-after: 9", &[AtOnce]),
    ("a moderated prompt", 403, "x-request-id: 1", &[AtOnce]),
    ("a 403 that is a limit", 403, "retry-after: 30", &[After(30.0)]),
    ("NVIDIA NIM, no header: a backoff", 429, "x-request-id: 1", &[Between(1.0, 1.25)]),
    ("a key without credit: two minutes first", 402, "x-request-id: 1", &[After(120.0)]),
    ("forms of waits", 429, "retry-after: 60 seconds", &[After(60.0)]),
    ("forms of waits", 429, "retry-after: 1m30s", &[After(90.0)]),
    ("forms of waits", 429, "retry-after: Thu, 13 Aug 2026 15:38:00 +0000", &[After(60.0)]),
    ("joined lines", 429, "retry-after: 5, 20", &[After(20.0)]),
    // What says nothing.
    (
        "Azure does not know its limit",
        429,
        "x-ratelimit-limit-tokens: -1
         x-ratelimit-remaining-tokens: -1
         x-ratelimit-reset-tokens: 0
         retry-after: 2",
        &[After(2.0)],
    ),
    (
        "Hugging Face's router: no limit on tokens",
        200,
        "x-ratelimit-remaining-tokens-minute: 9223372036854767616",
        &[AtOnce],
    ),
    (
        "Azure, milliseconds where seconds should be",
        200,
        "x-ratelimit-limit-requests: 120
         x-ratelimit-remaining-requests: 0
         x-ratelimit-reset-requests: 500
         x-ratelimit-renewalperiod-requests: 60",
        &[Between(0.5, 60.0)],
    ),
    (
        "Anthropic: resets that are over before the response is sent",
        200,
        "date: Thu, 13 Aug 2026 15:37:00 GMT
         anthropic-ratelimit-tokens-limit: 200000
         anthropic-ratelimit-tokens-remaining: 198000
         anthropic-ratelimit-tokens-reset: 2026-08-13T15:34:46Z",
        &[AtOnce, Limit(Counted::Tokens, 60, 200_000)],
    ),
];

fn after(status: u16, lines: &str) -> [Client; 2] {
    let headers: Vec<_> = lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    let reply = Reply::new(status).limits(read(&headers)).spent(0);
    let clients = Client::both();
    for client in &clients {
        client.answered(&reply);
    }
    clients
}

#[test]
fn each_row_is_right() {
    for (name, status, headers, all) in ROWS {
        for right in *all {
            for client in after(*status, headers) {
                check(&client, right, name);
            }
        }
    }
}

fn check(client: &Client, right: &Right, name: &str) {
    let secs = Duration::from_secs_f64;
    match *right {
        AtOnce => assert_eq!(client.next(REQUEST), Duration::ZERO, "{name}"),
        After(wait) => assert_eq!(client.next(REQUEST), secs(wait), "{name}"),
        Between(least, most) => {
            let wait = client.next(REQUEST);
            assert!(wait >= secs(least) && wait <= secs(most), "{name}: {wait:?}");
        }
        Gets(counted, span, least, most) => {
            let got = client.greedy(counted, Duration::from_secs(span));
            assert!((least..=most).contains(&got), "{name}: {got}");
        }
        Limit(counted, period, count) => {
            let kind: LimitKind = counted.per(Period::seconds(period).unwrap());
            let limit = client.usage().of(kind).map(|it| it.limit);
            assert_eq!(limit, Some(count), "{name}: {:?}", client.usage().limits);
        }
    }
}
