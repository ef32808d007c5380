//! The names whose values matter, and where in a document they count.

/// A value that the scanner finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::llm::usage) enum Name {
    /// `usage` or `usageMetadata` of the document or of one of [`PARENTS`].
    Usage,
    /// `error` of the document or of one of [`PARENTS`] that can have one.
    Error,
    /// `type` of the document, if it is not an object or an array; and so on.
    Type,
    Object,
    Code,
    Message,
    Status,
}

/// The objects at depth 1 inside of which names count, and whether `error` is one of them: those of
/// the responses API, Groq, Gemini's interactions, Anthropic (`message_start`) and Cohere.
pub(super) const PARENTS: [(&[u8], Inner); 5] = [
    (b"response", Inner::UsageAndError),
    (b"x_groq", Inner::UsageAndError),
    (b"interaction", Inner::UsageAndError),
    (b"message", Inner::Usage),
    (b"delta", Inner::Usage),
];

/// The names at depth 1.
pub(super) const NAMES: [(&[u8], Name); 8] = [
    (b"usage", Name::Usage),
    (b"usageMetadata", Name::Usage),
    (b"error", Name::Error),
    (b"type", Name::Type),
    (b"object", Name::Object),
    (b"code", Name::Code),
    (b"message", Name::Message),
    (b"status", Name::Status),
];

/// The length of the longest name that matters.
pub(super) const LONGEST_NAME: usize = 13;

/// Which names count inside of an object or array at depth 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    UsageAndError,
    Usage,
    Nothing,
}
