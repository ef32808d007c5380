//! The usage of an answer whose body is there at once.

// What comes before the usage need not be read: that it is a field of the document, and not of
// something inside of it, is known from what follows it. That is little, because providers write
// the usage near the end. All that is not that simple is left to the scanner.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::events::names_error;
use super::text::{End, Kind, end_of_string, kind, skip_blank, value_length};

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage"));

/// What was found in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole<'a> {
    /// It has no usage, and is no error.
    Nothing,
    /// Its usage, as JSON.
    Usage(&'a [u8]),
    /// The scanner must read it.
    Unclear,
}

/// Looks for the usage of a whole JSON document.
pub(super) fn look(body: &[u8]) -> Whole<'_> {
    let body = body.trim_ascii();
    if !body.starts_with(b"{") || names_error(body) {
        return Whole::Unclear;
    }
    let Some(start) = USAGE.find(body) else { return Whole::Nothing };
    let rest = &body[start..];
    // A quotation mark within a string would begin no name.
    if body[..start].ends_with(b"\\") || USAGE.find(&rest[1..]).is_some() {
        return Whole::Unclear;
    }
    usage_at(rest).map_or(Whole::Unclear, Whole::Usage)
}

/// The value of the name with which `rest` begins, if it is an object of the document that ends
/// with `rest`.
fn usage_at(rest: &[u8]) -> Option<&[u8]> {
    let after = rest.strip_prefix(b"\"usage")?;
    let after = after.strip_prefix(b"Metadata").unwrap_or(after).strip_prefix(b"\"")?;
    let value = skip_blank(skip_blank(after).strip_prefix(b":")?);
    if !value.starts_with(b"{") {
        return None;
    }
    let length = value_length(value)?;
    ends_document(&value[length..]).then(|| &value[..length])
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
        for text in [
            r#"{"usage":{"a":1}}"#,
            r#" {"choices":[{"x":"}"}], "usageMetadata" : {"a":1} , "tier":"\"}" } "#,
            r#"{"usage":{"a":1},"choices":[{"text":"of usage\":{\"a\":2}"}]}"#,
        ] {
            assert_eq!(look(text.as_bytes()), Whole::Usage(br#"{"a":1}"#), "{text}");
        }
        let nothing = r#"{"choices":[{"text":"of use"}],"x":[1.5e3,null]}"#;
        assert_eq!(look(nothing.as_bytes()), Whole::Nothing);
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
            assert_eq!(look(text.as_bytes()), Whole::Unclear, "{text}");
        }
    }
}
