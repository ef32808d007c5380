//! The text of a subject, which most often is short.

use std::fmt;

use smallvec::SmallVec;

/// A text that needs no allocation if it is short.
#[derive(Default)]
pub(super) struct Name(SmallVec<[u8; 64]>);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        // Only whole texts are written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn texts_of_any_length_are_kept() {
        let mut name = Name::default();
        for length in 0..100 {
            assert_eq!(name.as_str(), "ä€".repeat(length));
            assert_eq!(write!(name, "ä{}", '€'), Ok(()));
        }
    }
}
