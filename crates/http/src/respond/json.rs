//! Writing JSON piece by piece.

/// A text of JSON that is being written: for an answer that a program makes for each request.
///
/// What stands between two values is one piece, which the program writes down whole. A serializer
/// writes each name, quote and comma by a call of its own, and looks through names for what must be
/// escaped; with about thirty names and values, that was a third of the time of a whole check in
/// `tollgate-server`.
///
/// ```
/// use tollgate_http::respond::JsonText;
///
/// let mut json = JsonText::with_capacity(64);
/// json.raw("{\"name\":");
/// json.string("a \"b\"");
/// json.raw(",\"left\":");
/// json.number(7);
/// json.raw("}");
/// assert_eq!(json.into_string(), r#"{"name":"a \"b\"","left":7}"#);
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonText(String);

impl JsonText {
    /// An empty text, with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Appends a piece of JSON as it is.
    pub fn raw(&mut self, json: &'static str) {
        self.0.push_str(json);
    }

    /// Appends a string of which it is known that nothing in it must be escaped: no quotes,
    /// backslashes and control characters.
    pub fn plain(&mut self, value: &str) {
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
    }

    /// Appends a string: with quotes, and escaped (RFC 8259, section 7).
    pub fn string(&mut self, value: &str) {
        self.string_of(&[value]);
    }

    /// Appends a string that consists of `parts`.
    pub fn string_of(&mut self, parts: &[&str]) {
        self.0.push('"');
        for part in parts {
            self.push_escaped(part);
        }
        self.0.push('"');
    }

    /// Appends a number.
    pub fn number(&mut self, number: u64) {
        self.0.push_str(itoa::Buffer::new().format(number));
    }

    /// Appends `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// The text.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    fn push_escaped(&mut self, text: &str) {
        let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        let mut rest = text;
        // What is escaped is ASCII, so a text may be cut on both sides of it.
        while let Some(at) = rest.bytes().position(is_escaped) {
            let (plain, escaped) = rest.split_at(at);
            self.0.push_str(plain);
            match escaped.as_bytes()[0] {
                byte if byte < b' ' => {
                    let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
                    self.0.extend(['\\', 'u', '0', '0', hex(byte / 16), hex(byte % 16)]);
                }
                byte => self.0.extend(['\\', byte.into()]),
            }
            rest = &escaped[1..];
        }
        self.0.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_is_read_as_what_was_written(value in any::<String>(), other in any::<String>()) {
            let mut json = JsonText::default();
            json.string_of(&[&value, &other]);
            let read: String = serde_json::from_str(&json.into_string()).expect("JSON");
            prop_assert_eq!(read, value + &other);
        }
    }

    #[test]
    fn values_are_those_of_json() {
        let mut json = JsonText::default();
        json.raw("[");
        json.number(u64::MAX);
        json.raw(",");
        json.boolean(false);
        json.raw(",");
        json.plain("a b");
        json.raw("]");
        assert_eq!(json.into_string(), r#"[18446744073709551615,false,"a b"]"#);
    }
}
