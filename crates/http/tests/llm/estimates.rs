//! What requests are estimated to use.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate::llm::{TokenCost, Tokens};
use tollgate_http::llm::{Estimate, Estimator};

fn estimate(path: &str, body: &Value) -> Estimate {
    Estimator::new().usual_output(700).estimate(path, body.to_string().as_bytes())
}

/// A text of so many tokens.
fn text(tokens: usize) -> String {
    "word".repeat(tokens)
}

#[test]
fn chat_completions() {
    let body = json!({
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": text(10)},
            {"role": "user", "content": [
                {"type": "text", "text": text(20)},
                {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", text(9_000))}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": text(5)}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": text(30)},
        ],
        "max_completion_tokens": 300,
        "n": 2,
        "stream": true,
        "temperature": 0.5,
    });
    let estimate = estimate("/v1/chat/completions", &body);
    assert_eq!(estimate.model.as_deref(), Some("gpt-4o"));
    // The texts, the name of the tool, 4 for each message, and the image.
    assert_eq!(estimate.demand.prompt, 10 + 20 + 1 + 5 + 30 + 4 * 4 + 1_000);
    assert_eq!(estimate.tokens().output, 600);
    assert_eq!(estimate.cost, TokenCost::OpenAi);
    assert!(estimate.is_stream);
}

#[test]
fn tools_count_as_long_as_their_json_is() {
    let tools =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let body = json!({"messages": [], "tools": tools});
    let right = tools.to_string().len().div_ceil(4);
    assert_eq!(estimate("/v1/chat/completions", &body).demand.prompt, right as u64);
}

#[test]
fn responses() {
    let body = json!({
        "model": "gpt-5",
        "instructions": text(10),
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": text(20)},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_file", "filename": "a.pdf", "file_data": text(9_000)},
            ]},
            {"type": "reasoning", "id": "rs_1", "encrypted_content": text(9_000), "summary": []},
        ],
        "max_output_tokens": 50,
    });
    let estimate = estimate("/v1/responses", &body);
    assert_eq!(estimate.tokens(), Tokens::new(10 + 20 + 2 * 4 + 2_000, 50));
    let body = json!({"model": "gpt-5", "input": text(7), "stream": null});
    let estimate = self::estimate("/v1/responses", &body);
    assert_eq!((estimate.tokens(), estimate.is_stream), (Tokens::new(7, 700), false));
}

#[test]
fn embeddings() {
    for (input, right) in [
        (json!(text(7)), 7),
        (json!([text(7), text(5)]), 12),
        (json!([1, 2, 3]), 3),
        (json!([[1, 2, 3], [4, 5]]), 5),
    ] {
        let body = json!({"model": "text-embedding-3-small", "input": input});
        for path in ["/v1/embeddings", "/unknown"] {
            assert_eq!(estimate(path, &body).tokens(), Tokens::new(right, 0), "{path} {body}");
        }
    }
}

#[test]
fn anthropic_messages() {
    let body = json!({
        "model": "claude-sonnet-5",
        "max_tokens": 32_000,
        "system": [{"type": "text", "text": text(10), "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": text(20)},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": text(9_000)}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": text(40)}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": text(5)}]}},
            {"type": "tool_use", "id": "t", "name": "find", "input": {"n": 3, "what": text(2)}},
        ]}],
    });
    let estimate = estimate("/v1/messages", &body);
    assert_eq!(estimate.demand.prompt, 10 + 20 + 1_000 + 40 + 5 + 1 + 1 + 2 + 4);
    assert_eq!((estimate.demand.max_output, estimate.demand.usual_output), (32_000, Some(700)));
    // Anthropic counts the output as it is generated.
    assert_eq!((estimate.cost, estimate.tokens().output), (TokenCost::Anthropic, 700));
    let elsewhere = self::estimate("/gateway", &body);
    assert_eq!(elsewhere.cost, TokenCost::Anthropic);
}

#[test]
fn gemini_and_bedrock() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": text(3)}]},
        "contents": [{"role": "user", "parts": [
            {"text": text(20)},
            {"inlineData": {"mimeType": "image/png", "data": text(9_000)}},
        ]}],
        "generationConfig": {"maxOutputTokens": 90, "candidateCount": 2},
    });
    let estimate = estimate("/v1beta/models/gemini-2.5-flash:streamGenerateContent", &body);
    assert_eq!(estimate.model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!(estimate.tokens(), Tokens::new(3 + 20 + 4 + 1_000, 180));
    assert!(estimate.is_stream);

    let body = json!({
        "system": [{"text": text(3)}],
        "messages": [{"role": "user", "content": [
            {"text": text(20)},
            {"image": {"format": "png", "source": {"bytes": text(9_000)}}},
        ]}],
        "inferenceConfig": {"maxTokens": 90},
    });
    let path = "/model/anthropic.claude-3-5-sonnet-20241022-v2:0/converse";
    let estimate = self::estimate(path, &body);
    assert_eq!(estimate.model.as_deref(), Some("anthropic.claude-3-5-sonnet-20241022-v2:0"));
    assert_eq!((estimate.demand.prompt, estimate.demand.max_output), (1_027, 90));
}

#[test]
fn a_function_of_the_user_gets_model_and_texts() {
    let estimator = Estimator::new().count_with(|model, text| {
        assert_eq!(model, "m");
        text.split(' ').count() as u64
    });
    // The model may come last, and texts may contain escapes.
    let body = br#"{"input":["one two","th\u0072ee"],"model":"m"}"#;
    assert_eq!(estimator.estimate("/v1/embeddings", body).demand.prompt, 3);
    let body = br#"{"input":"th\u0072ee\n"}"#;
    assert_eq!(Estimator::new().estimate("/v1/embeddings", body).demand.prompt, 2);
}

#[test]
fn settings() {
    let estimator = Estimator::new().media_tokens(85).cost(TokenCost::Anthropic).usual_output(9);
    let body = br#"{"messages":[{"content":[{"image_url":"x"}]}],"max_tokens":4}"#;
    let estimate = estimator.estimate("/v1/chat/completions", body);
    assert_eq!((estimate.tokens(), estimate.cost), (Tokens::new(89, 4), TokenCost::Anthropic));
}

#[test]
fn what_is_not_understood_has_a_default() {
    let estimator = Estimator::new().otherwise(Tokens::new(11, 22)).max_body(1_000);
    let large = format!(r#"{{"messages":["{}"]}}"#, text(250));
    let deep = format!(r#"{{"messages":{}1{}}}"#, "[".repeat(130), "]".repeat(130));
    let deep_elsewhere = format!(r#"{{"x":{}"#, "[".repeat(900));
    for body in [
        "null",
        "[]",
        "7",
        "\"x\"",
        "{}",
        r#"{"model":"gpt-4o"}"#,
        r#"{"messages":["#,
        "--form\r\n",
        r#"{"messages":[]}x"#,
        "\u{0}",
        &large,
        &deep,
        &deep_elsewhere,
    ] {
        let estimate = estimator.estimate("/v1/chat/completions", body.as_bytes());
        assert_eq!(estimate, estimator.unknown(), "{body}");
        assert_eq!(estimate.tokens(), Tokens::new(11, 22), "{body}");
    }
    assert_eq!(estimator.estimate("/v1/models", b"").tokens(), Tokens::default());
    assert_eq!(Estimator::new().max_body(0).estimate("/", b"{\"input\":\"x\"}").model, None);
}

#[test]
fn values_of_other_types_are_passed_over() {
    let body = br#"{"model":7,"input":"word","max_tokens":"many","n":-1,"stream":"yes",
        "generationConfig":null,"max_output_tokens":9.5}"#;
    let estimate = Estimator::new().estimate("/v1/responses", body);
    assert_eq!((estimate.model, estimate.is_stream), (None, false));
    assert_eq!(estimate.demand.max_output, 10);
    let body = br#"{"messages":[],"max_tokens":18446744073709551615,"n":18446744073709551615}"#;
    let estimate = Estimator::new().media_tokens(u64::MAX).estimate("/v1/chat/completions", body);
    assert_eq!(estimate.tokens(), Tokens::new(0, u64::MAX));
}

/// JSON that is like a request in some way.
fn requests() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "messages",
        "input",
        "system",
        "content",
        "text",
        "source",
        "type",
        "data",
        "image_url",
        "tools",
        "max_tokens",
        "n",
        "model",
        "generationConfig",
        "role",
        "parts",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\é]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((names.clone(), inner), 0..6).prop_map(|fields| {
                Value::Object(
                    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_quarter_of_the_characters_is_no_more_than_the_body(body in requests()) {
        let body = body.to_string();
        let estimator = Estimator::new().media_tokens(1);
        let estimate = estimator.estimate("/v1/chat/completions", body.as_bytes());
        if estimate != estimator.unknown() {
            // Each message has 4 tokens and at least the 2 bytes of its brackets.
            prop_assert!(estimate.demand.prompt <= 2 * body.len() as u64, "{body}");
        }
        // Whoever counts, sees the same texts.
        let own = Estimator::new().media_tokens(1).count_with(|_, text| text.chars().count() as u64);
        let by_own = own.estimate("/v1/chat/completions", body.as_bytes());
        prop_assert!(by_own.demand.prompt >= estimate.demand.prompt);
        prop_assert_eq!(by_own.demand.max_output, estimate.demand.max_output);
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
        let estimate = Estimator::new().estimate("/v1/messages", &bytes);
        prop_assert!(estimate.demand.max_output > 0);
    }
}
