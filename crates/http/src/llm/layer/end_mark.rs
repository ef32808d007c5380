//! The mark with which a stream of events says that it is complete.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// What each mark contains, and the lines that are one: OpenAI's `[DONE]`, Anthropic's
/// `message_stop`, and the event of the responses API.
const MARKS: [(&[u8], [&[u8]; 2]); 3] = [
    (b"[DONE]", [b"data: ", b"data:"]),
    (b"message_stop", [b"event: ", b"event:"]),
    (b"response.completed", [b"event: ", b"event:"]),
];

static FINDERS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| MARKS.map(|(mark, _)| Finder::new(mark)));

/// Whether these bytes of a stream contain the mark of its end. Client libraries stop reading
/// there, and drop the body before its end is read.
///
/// A mark is a line of its own, which a text that a model writes cannot be: JSON has no line breaks
/// in strings. A mark that is split between two pieces is not found, which costs no more than an
/// estimate that counts.
pub(super) fn contains_end(bytes: &[u8]) -> bool {
    MARKS.iter().zip(&*FINDERS).any(|((_, before), finder)| {
        finder.find_iter(bytes).any(|at| {
            before.iter().any(|field| {
                let line = bytes[..at].strip_suffix(*field);
                line.is_some_and(|text| text.last().is_none_or(|end| matches!(end, b'\n' | b'\r')))
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::contains_end;

    #[test]
    fn marks_are_lines_of_their_own() {
        for text in [
            "data: [DONE]\n\n",
            "data: {}\n\ndata: [DONE]\n\n",
            "data: {}\r\n\r\ndata:[DONE]",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            "event: response.completed\ndata: {}\n\n",
        ] {
            assert!(contains_end(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "data: {\"content\":\"data: [DONE]\"}\n\n",
            "data: {\"content\":\"\\ndata: [DONE]\"}\n\n",
            "data: {\"type\":\"message_stop\"}\n\n",
            "event: message_start\n",
            "data: [DON",
        ] {
            assert!(!contains_end(text.as_bytes()), "{text}");
        }
    }
}
