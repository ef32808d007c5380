//! What the layer adds to each event of a stream.

use bytes::Bytes;

use crate::Size;
use crate::llm_client::{Client, added, layer};
use crate::table::{Table, Target};

/// How many events a stream has.
pub(crate) const EVENTS: u16 = 500;

/// An event of a chat whose request asked for the usage.
pub(crate) const CHAT: &str = "data: {\"id\":\"chatcmpl-DHuWKsotqRhLx9uGWvg0GSKwVSnbP\",\"object\":\"chat.completion.chunk\",\"created\":1773165244,\"model\":\"gpt-5.2-2025-12-11\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":{\"content\":\" limiter\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"Ygn2Hk\"}\n\n";

const CHAT_END: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":500,\"total_tokens\":512}}\n\ndata: [DONE]\n\n";

const ANTHROPIC: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" limiter\"}}\n\n";

const ANTHROPIC_END: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":500}}\n\n";

/// A stream of events, so many in each piece.
pub(crate) fn stream(event: &str, end: &str, in_a_piece: usize) -> Vec<Bytes> {
    let piece = Bytes::from(event.repeat(in_a_piece));
    let pieces = std::iter::repeat_n(piece, usize::from(EVENTS) / in_a_piece);
    pieces.chain([Bytes::from(end.to_owned())]).collect()
}

/// A chat, one event in each piece.
pub(crate) fn chat() -> Vec<Bytes> {
    stream(CHAT, CHAT_END, 1)
}

pub(crate) fn print(size: Size) {
    let heads = ["stream", "adds ns to an event", "quartiles", "us of a stream"];
    let mut table = Table::new("events: what the layer adds to a stream of 500 events", &heads);
    let request = Bytes::from_static(br#"{"model":"gpt-4o","messages":[],"max_tokens":500}"#);
    for (name, pieces) in [
        ("chat completions, one event at a time", chat()),
        ("chat completions, 20 events at a time", stream(CHAT, CHAT_END, 20)),
        ("Anthropic, one event at a time", stream(ANTHROPIC, ANTHROPIC_END, 1)),
        ("Anthropic, 20 events at a time", stream(ANTHROPIC, ANTHROPIC_END, 20)),
    ] {
        let client = Client::new(&[("content-type", "text/event-stream")], pieces);
        let (spread, _) = added(size, &client, &layer(1), &request);
        let each = |time: f64| time / f64::from(EVENTS);
        let cells = [
            name.to_owned(),
            format!("{:.0}", each(spread.median)),
            format!("{:.0} to {:.0}", each(spread.low), each(spread.high)),
            format!("{:.1}", spread.median / 1e3),
        ];
        table.row(cells, each(spread.median), Target::None);
    }
    size.show(&table);
}
