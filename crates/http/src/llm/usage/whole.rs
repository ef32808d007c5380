//! The usage of an answer whose body is there at once.

// What comes before the usage need not be read: that it is a field of the document, and not of
// something inside of it, is known from what follows it. That is little, because providers write
// the usage near the end. All that is not that simple is left to the scanner.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::events::names_error;
use super::numbers::Numbers;
use super::text::{End, Kind, end_of_string, kind, skip_blank};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage"));

/// The usage of a whole JSON document, or nothing if it has none and is no error. `None` if the
/// scanner must read it.
pub(super) fn usage(body: &[u8]) -> Option<Numbers> {
    let body = body.trim_ascii();
    if !body.starts_with(b"{") || names_error(body) {
        return None;
    }
    let Some(start) = USAGE.find(body) else { return Some(Numbers::default()) };
    let (before, rest) = body.split_at(start);
    // A quotation mark within a string would begin no name.
    if before.ends_with(b"\\") || USAGE.find(&rest[1..]).is_some() {
        return None;
    }
    let after = rest.strip_prefix(b"\"usage")?;
    let after = after.strip_prefix(b"Metadata").unwrap_or(after).strip_prefix(b"\"")?;
    let value = skip_blank(skip_blank(after).strip_prefix(b":")?);
    let (numbers, after) = Numbers::take(value)?;
    ends_document(after).then_some(numbers)
}

/// Whether these bytes end the object that is open before them, and nothing else.
fn ends_document(bytes: &[u8]) -> bool {
    let Some((b'}', bytes)) = bytes.split_last() else { return false };
    let mut depth: usize = 0;
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        position += 1;
        match kind(byte) {
            Kind::Other | Kind::Comma => {}
            Kind::Quote => match end_of_string(&bytes[position..]) {
                End::Quote(length) => position += length,
                End::Open { .. } => return false,
            },
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => return false,
            Kind::Close => depth -= 1,
        }
    }
    depth == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_of_the_document_is_found() {
        let one = Numbers::take(br#"{"input_tokens":1}"#).map(|(numbers, _)| numbers);
        for text in [
            r#"{"usage":{"input_tokens":1}}"#,
            r#" {"choices":[{"x":"}"}], "usageMetadata" : {"input_tokens":1} , "tier":"\"}" } "#,
            r#"{"usage":{"input_tokens":1},"choices":[{"text":"of usage\":{\"input_tokens\":2}"}]}"#,
        ] {
            assert_eq!(usage(text.as_bytes()), one, "{text}");
        }
        let nothing = r#"{"choices":[{"text":"of use"}],"x":[1.5e3,null]}"#;
        assert_eq!(usage(nothing.as_bytes()), Some(Numbers::default()));
    }

    #[test]
    fn all_else_is_unclear() {
        for text in [
            "",
            "[]",
            "data: {}",
            r#"[{"usage":{"a":1}}]"#,
            r#"{"message":{"usage":{"a":1}}}"#,
            r#"{"content":[{"input":{"usage":{"a":1}}}]}"#,
            r#"{"usage":null}"#,
            r#"{"x":"usage"}"#,
            r#"{"usages":{"a":1}}"#,
            r#"{"\"usage":{"a":1}}"#,
            r#"{"usage":{"a":1},"x":{"usage":{"a":2}}}"#,
            r#"{"x":{"usage":{"a":2}},"usage":{"a":1}}"#,
            r#"{"usage":{"a":1},"error":null}"#,
            r#"{"usage":{"a":1}"#,
            r#"{"usage":{"a":1"#,
            r#"{"usage":{"a":1}}]"#,
            r#"{"usage":{"a":1}}{}"#,
            r#"{"usage":{"a":1},"x":"}"#,
        ] {
            assert_eq!(usage(text.as_bytes()), None, "{text}");
        }
    }
}
