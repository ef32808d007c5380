//! What the layer adds to a request: estimate, permit, key, headers, usage.

use bytes::Bytes;

use crate::Size;
use crate::llm_client::{Client, added, layer};
use crate::table::{Table, Target};

/// The fields that OpenAI sends, with limits that are not reached while this measures.
const OPENAI: [(&str, &str); 10] = [
    ("date", "Thu, 11 Jun 2026 20:16:00 GMT"),
    ("content-type", "application/json"),
    ("server", "cloudflare"),
    ("x-request-id", "req_00000000000000000000000000000000"),
    ("x-ratelimit-limit-requests", "900000000000"),
    ("x-ratelimit-limit-tokens", "900000000000"),
    ("x-ratelimit-remaining-requests", "899999999999"),
    ("x-ratelimit-remaining-tokens", "899999999235"),
    ("x-ratelimit-reset-requests", "12ms"),
    ("x-ratelimit-reset-tokens", "22ms"),
];

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1741569952,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I assist you today?","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default"}"#;

/// A chat with so many messages of about 100 characters.
fn chat(messages: usize) -> Bytes {
    let message = r#"{"role":"user","content":"Please say in one sentence what a rate limiter is for, and why a server should have one."}"#;
    let messages = vec![message; messages].join(",");
    format!(r#"{{"model":"gpt-4o","messages":[{messages}],"max_tokens":300}}"#).into()
}

pub(crate) fn print(size: Size) {
    let heads = ["request", "adds ns", "quartiles", "without the layer"];
    let mut table = Table::new("requests: what the layer adds to a request", &heads);
    let fields = |count: usize| Client::new(&OPENAI[..count], vec![ANSWER.into()]);
    for (name, keys, messages, client, target) in [
        ("1 message, 1 key", 1, 1, fields(4), Target::AtMost(2_000.0)),
        ("1 message, 1 key, limits in the headers", 1, 1, fields(10), Target::AtMost(2_000.0)),
        ("1 message, 10 keys, limits in the headers", 10, 1, fields(10), Target::AtMost(2_000.0)),
        ("10 messages (1 kB), 1 key, limits", 1, 10, fields(10), Target::None),
        ("1,000 messages (100 kB), 1 key, limits", 1, 1_000, fields(10), Target::None),
    ] {
        let (spread, bare) = added(size, &client, &layer(keys), &chat(messages));
        let cells = [
            name.to_owned(),
            format!("{:.0}", spread.median),
            spread.to_string(),
            format!("{bare:.0}"),
        ];
        table.row(cells, spread.median, target);
    }
    size.show(&table);
}
