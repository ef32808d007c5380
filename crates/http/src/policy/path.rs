//! Path patterns of routes: `/v1/exports/{id}`, `/static/{*rest}` (rule P6).

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// As the file has it.
    pub(crate) text: String,
    pub(crate) segments: Vec<Segment>,
    /// Whether any further segments may follow, also none.
    pub(crate) rest: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This segment, percent-decoded.
    Literal(Box<[u8]>),
    /// Any one segment.
    Any,
}
