//! The answers: whole, or word by word as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use futures_lite::{StreamExt as _, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use crate::chat::Chat;
use crate::fault::{Fault, Told};
use crate::server::InFlight;

pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// What the model has to say, over and over.
const WORDS: [&str; 24] = [
    "A", "limit", "has", "two", "sides:", "how", "much", "may", "come", "at", "once,", "and",
    "how", "much", "in", "the", "long", "run.", "Whoever", "waits", "is", "served", "in", "order.",
];

/// After how many words a stream breaks off that does.
const BEFORE_FAILURE: u32 = 3;

fn word(number: u32) -> &'static str {
    // The remainder is below 24.
    WORDS.get(number as usize % WORDS.len()).copied().unwrap_or("word")
}

/// The whole answer at once.
pub(crate) fn whole(chat: &Chat) -> Response<Body> {
    let (message, finish_reason) = if let Some(tool) = &chat.tool {
        (tool_call(tool), "tool_calls")
    } else {
        let words: Vec<_> = (0..chat.written()).map(word).collect();
        let content = words.join(" ");
        (json!({"role": "assistant", "content": content, "refusal": null}), "stop")
    };
    let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason});
    json_response(&json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_764_000_000,
        "model": chat.model,
        "choices": [choice],
        "usage": chat.usage(),
    }))
}

/// The message of a model that wants a tool to be called, without any argument.
fn tool_call(name: &str) -> Value {
    let function = json!({"name": name, "arguments": "{}"});
    let call = json!({"index": 0, "id": "call_1", "type": "function", "function": function});
    json!({"role": "assistant", "content": null, "tool_calls": [call]})
}

/// The answer word by word, each after `pace`. If it breaks off, an error takes the place of the
/// rest.
pub(crate) fn events(in_flight: InFlight, pace: Duration, breaks_off: bool) -> Response<Body> {
    // The call of a tool comes in one piece.
    let words = if in_flight.chat().tool.is_some() { 1 } else { in_flight.chat().written() };
    let last = if breaks_off { words.min(BEFORE_FAILURE) } else { words };
    // The state goes along with the stream. So it is also dropped if the client goes away.
    let events = stream::unfold(Some((0, in_flight)), move |state| async move {
        let (number, mut in_flight) = state?;
        if number < last {
            if !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            let piece = delta(in_flight.chat(), number);
            let is_tool = in_flight.chat().tool.is_some();
            in_flight.wrote(if is_tool { in_flight.chat().written() } else { number + 1 });
            return Some((event(&piece.to_string()), Some((number + 1, in_flight))));
        }
        if breaks_off {
            return Some((event(&Fault::Overloaded.told().body.to_string()), None));
        }
        if number == last && in_flight.chat().tells_usage {
            let usage = in_flight.chat().usage();
            let last = chunk(in_flight.chat(), &json!([]), &usage);
            // Whoever has read the usage finds that the rest has been given back.
            in_flight.finish();
            return Some((event(&last.to_string()), Some((number.saturating_add(1), in_flight))));
        }
        in_flight.finish();
        Some((event("[DONE]"), None))
    });
    let events = events.map(Ok::<_, Infallible>);
    let mut response = Response::new(BoxBody::new(StreamBody::new(events)));
    let content_type = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn event(data: &str) -> Frame<Bytes> {
    Frame::data(Bytes::from(format!("data: {data}\n\n")))
}

/// One piece of a stream.
fn delta(chat: &Chat, number: u32) -> Value {
    let (delta, finish_reason) = if let Some(tool) = &chat.tool {
        (tool_call(tool), Some("tool_calls"))
    } else {
        let space = if number == 0 { "" } else { " " };
        let content = format!("{space}{}", word(number));
        let is_last = number + 1 == chat.written();
        (json!({"role": "assistant", "content": content}), is_last.then_some("stop"))
    };
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    chunk(chat, &json!([choice]), &Value::Null)
}

fn chunk(chat: &Chat, choices: &Value, usage: &Value) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_764_000_000,
        "model": chat.model,
        "choices": choices,
        "usage": usage,
    })
}

/// An error.
pub(crate) fn error(told: &Told) -> Response<Body> {
    let mut response = json_response(&told.body);
    *response.status_mut() = told.status;
    if let Some(seconds) = told.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json_response(body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::from(body.to_string()).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
