//! Writing an object of JSON piece by piece.
//!
//! An answer to a check has about thirty names and values. `serde_json` writes each of them, each
//! quote and each comma by a call of its own, and looks through names for what must be escaped: a
//! third of the whole time of a check. Here, what stands between two values is one text that was
//! written down whole, and only values are looked through.

/// A text of JSON that is being written.
pub(super) struct Json(Vec<u8>);

impl Json {
    /// An empty text, with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends a text of JSON as it is.
    pub(super) fn raw(&mut self, json: &'static str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// Appends a string of which it is known that nothing in it must be escaped.
    pub(super) fn plain(&mut self, value: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
    }

    /// Appends a string: with quotes, and escaped.
    pub(super) fn string(&mut self, value: &str) {
        let before = self.0.len();
        self.0.push(b'"');
        let mut copied = 0;
        for (at, byte) in value.bytes().enumerate() {
            match byte {
                b'"' | b'\\' => {
                    self.0.extend_from_slice(&value.as_bytes()[copied..at]);
                    self.0.push(b'\\');
                    copied = at;
                }
                b' '.. => {}
                _ => {
                    // Control characters are rare. A vector takes every byte, and every text can be
                    // written.
                    self.0.truncate(before);
                    let _ = serde_json::to_writer(&mut self.0, value);
                    return;
                }
            }
        }
        self.0.extend_from_slice(&value.as_bytes()[copied..]);
        self.0.push(b'"');
    }

    /// Appends a number.
    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends `true` or `false`.
    pub(super) fn boolean(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    /// The text.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn strings_are_those_of_serde_json(value in any::<String>()) {
            let mut json = Json::with_capacity(0);
            json.string(&value);
            prop_assert_eq!(json.into_bytes(), serde_json::to_vec(&value).expect("a text"));
        }
    }

    #[test]
    fn an_object_is_written_in_pieces() {
        let mut json = Json::with_capacity(64);
        json.raw("{\"a\":");
        json.string("\"\\\n");
        json.raw(",\"b\":");
        json.number(u64::MAX);
        json.raw(",\"c\":");
        json.boolean(false);
        json.raw("}");
        let text = String::from_utf8(json.into_bytes()).expect("it is text");
        assert_eq!(text, r#"{"a":"\"\\\n","b":18446744073709551615,"c":false}"#);
    }
}
