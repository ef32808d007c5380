//! How many tokens a request may take, and how many its answer says it took.

use serde_json::Value;
use tollgate::llm::{Demand, Spent, TokenCost, Tokens};

/// A common guess for English.
const CHARACTERS_PER_TOKEN: usize = 4;
/// The frame of each message: who speaks, and where it ends.
const TOKENS_PER_MESSAGE: usize = 4;
/// The output of a request that names no maximum.
const USUAL_OUTPUT: u64 = 500;

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) tokens: Tokens,
    /// Whether the answer comes as events.
    pub(super) is_stream: bool,
}

/// Estimates a request for a chat completion from its body.
pub(super) fn estimate(body: &[u8]) -> Estimate {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let characters: usize = messages.iter().map(characters_of).sum();
    let prompt = characters / CHARACTERS_PER_TOKEN + messages.len() * TOKENS_PER_MESSAGE;
    let most = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
    let demand = Demand {
        prompt: u64::try_from(prompt).unwrap_or(u64::MAX),
        max_output: most.unwrap_or(USUAL_OUTPUT),
        ..Demand::default()
    };
    let tokens = TokenCost::OpenAi.estimate(&demand);
    Estimate { tokens, is_stream: body["stream"] == true }
}

/// The content of a message is a text, or a list of parts.
fn characters_of(message: &Value) -> usize {
    let characters = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    match &message["content"] {
        Value::Array(parts) => parts.iter().map(|part| characters(&part["text"])).sum(),
        text => characters(text),
    }
}

/// The usage that an answer tells, if it does.
pub(super) fn spent(body: &[u8]) -> Option<Tokens> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let spent = Spent {
        input: body["usage"]["prompt_tokens"].as_u64()?,
        output: body["usage"]["completion_tokens"].as_u64()?,
        ..Spent::default()
    };
    Some(TokenCost::OpenAi.spent(&spent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_estimated_from_its_characters_and_its_maximum() {
        let body = br#"{"messages": [{"content": "12345678"}, {"content": [{"text": "1234"}]}],
            "max_completion_tokens": 100, "stream": true}"#;
        let Estimate { tokens, is_stream } = estimate(body);
        assert_eq!((tokens.total(), is_stream), (2 + 1 + 2 * 4 + 100, true));
    }

    #[test]
    fn what_is_no_request_is_estimated_all_the_same() {
        for body in ["", "[]", "null", r#"{"messages": 7, "max_tokens": -1}"#] {
            assert_eq!(estimate(body.as_bytes()).tokens.total(), USUAL_OUTPUT, "{body}");
        }
    }

    #[test]
    fn the_usage_is_what_the_answer_says() {
        let body = br#"{"usage": {"prompt_tokens": 7, "completion_tokens": 5}}"#;
        assert_eq!(spent(body).map(Tokens::total), Some(12));
        assert_eq!(spent(br#"{"usage": null}"#), None);
        assert_eq!(spent(b"Bad Gateway"), None);
    }
}
