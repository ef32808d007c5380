//! A request for a chat completion, as the server sees it.

use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

/// The longest request, in bytes.
const LONGEST: usize = 4 << 20;
/// The tokens of an answer if the request names no maximum.
const MAX_TOKENS: u32 = 1_024;

/// The tokens of a call of a tool.
const TOOL_CALL: u32 = 12;

/// A request for a chat completion.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) key: String,
    pub(crate) model: String,
    pub(crate) prompt: u32,
    max_tokens: u32,
    /// How long the answer would be if `max_tokens` did not end it.
    length: u32,
    pub(crate) stream: bool,
    /// Whether the last event of a stream tells the usage.
    pub(crate) tells_usage: bool,
    /// The tool that the model wants to be called before it answers.
    pub(crate) tool: Option<String>,
}

impl Chat {
    /// `None` if it is no such request.
    pub(crate) async fn read(request: Request<Incoming>) -> Option<Self> {
        let authorization = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let key = authorization.strip_prefix("Bearer ")?.to_owned();
        let body = Limited::new(request.into_body(), LONGEST).collect().await.ok()?.to_bytes();
        Self::of(key, &serde_json::from_slice(&body).ok()?)
    }

    fn of(key: String, body: &Value) -> Option<Self> {
        let messages = body["messages"].as_array()?;
        let prompt: usize = messages.iter().map(words_of).sum();
        let max_tokens = number(&body["max_completion_tokens"]).or(number(&body["max_tokens"]));
        // A client of the examples may say how long the answer is to be; a real model decides that
        // itself, and so does this one for all others.
        let length = number(&body["metadata"]["answer_length"]);
        let prompt = u32::try_from(prompt).ok()?;
        Some(Self {
            key,
            model: body["model"].as_str().unwrap_or("small").to_owned(),
            prompt,
            max_tokens: max_tokens.unwrap_or(MAX_TOKENS),
            length: length.unwrap_or(20 + prompt.wrapping_mul(37) % 60),
            stream: body["stream"] == true,
            tells_usage: body["stream_options"]["include_usage"] == true,
            tool: tool_for(messages, &body["tools"]),
        })
    }

    /// The tokens that the request could take.
    pub(crate) fn reserve(&self) -> u32 {
        self.prompt.saturating_add(self.max_tokens)
    }

    /// How long the answer gets.
    pub(crate) fn written(&self) -> u32 {
        let length = if self.tool.is_some() { TOOL_CALL } else { self.length };
        length.min(self.max_tokens)
    }

    pub(crate) fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.written(),
            "total_tokens": self.prompt.saturating_add(self.written()),
        })
    }
}

/// The first tool, unless the client has just called one.
fn tool_for(messages: &[Value], tools: &Value) -> Option<String> {
    let name = tools[0]["function"]["name"].as_str()?;
    let was_called = messages.last().is_some_and(|message| message["role"] == "tool");
    (!was_called).then(|| name.to_owned())
}

/// As a number, or as text: OpenAI's metadata are texts.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => u32::try_from(value.as_u64()?).ok(),
    }
}

/// How many words a message has: its content is a text, or a list of parts.
fn words_of(message: &Value) -> usize {
    let words = |text: &Value| text.as_str().map_or(0, |text| text.split_whitespace().count());
    match &message["content"] {
        Value::Array(parts) => parts.iter().map(|part| words(&part["text"])).sum(),
        text => words(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Option<Chat> {
        Chat::of("key".to_owned(), body)
    }

    #[test]
    fn words_of_all_messages_and_parts_count() {
        let chat = read(&json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Why is that?"}]},
            ],
            "max_completion_tokens": 9,
            "metadata": {"answer_length": "12"},
        }));
        let chat = chat.expect("a request");
        assert_eq!((chat.prompt, chat.reserve(), chat.written()), (5, 14, 9));
        assert!(!chat.stream && !chat.tells_usage);
    }

    #[test]
    fn a_tool_is_called_before_the_answer() {
        let tools = json!([{"type": "function", "function": {"name": "search"}}]);
        let question = json!({"role": "user", "content": "Why?"});
        let result = json!({"role": "tool", "tool_call_id": "call_1", "content": "Because."});
        let tool = |messages| read(&json!({"messages": messages, "tools": tools}))?.tool;
        assert_eq!(tool(json!([question])).as_deref(), Some("search"));
        assert_eq!(tool(json!([question, result])), None);
        assert_eq!(tool(json!([question, result, question])).as_deref(), Some("search"));
    }

    #[test]
    fn anything_else_is_no_request() {
        for body in [json!(null), json!([]), json!({}), json!({"messages": "Why?"})] {
            assert!(read(&body).is_none(), "{body}");
        }
        // Odd messages are counted as far as they can be.
        let odd = json!({"messages": [7, {"content": null}, {"content": [{"image_url": {}}]}]});
        assert_eq!(read(&odd).map(|chat| chat.prompt), Some(0));
    }
}
