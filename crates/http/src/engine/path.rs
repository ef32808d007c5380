//! The path of a request as segments (rule P6), and whether a pattern matches it.

use std::borrow::Cow;

use percent_encoding::percent_decode;
use smallvec::SmallVec;

use crate::policy::PathPattern;
use crate::policy::path::Segment;

/// The segments of a path, each percent-decoded once. Empty segments vanish.
pub(crate) struct PathSegments<'a>(SmallVec<[Cow<'a, [u8]>; 8]>);

impl<'a> PathSegments<'a> {
    /// The segments of `path`, which has no query.
    pub(crate) fn of(path: &'a str) -> Self {
        let mut segments = SmallVec::new();
        for segment in path.as_bytes().split(|byte| *byte == b'/') {
            if !segment.is_empty() {
                segments.push(decoded(segment));
            }
        }
        Self(segments)
    }

    /// The segments of a router's template, which is not encoded.
    pub(crate) fn of_template(template: &'a str) -> Self {
        let segments = template.as_bytes().split(|byte| *byte == b'/');
        Self(segments.filter(|segment| !segment.is_empty()).map(Cow::Borrowed).collect())
    }

    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        self.0.get(at).map(|segment| &**segment)
    }

    /// These segments with `.` and `..` resolved; `None` if there are none of these.
    pub(crate) fn without_dots(&self) -> Option<Self> {
        if !self.0.iter().any(|segment| is_dots(segment)) {
            return None;
        }
        let mut resolved = SmallVec::new();
        for segment in &self.0 {
            match &segment[..] {
                b"." => {}
                b".." => {
                    resolved.pop();
                }
                _ => resolved.push(segment.clone()),
            }
        }
        Some(Self(resolved))
    }
}

fn decoded(segment: &[u8]) -> Cow<'_, [u8]> {
    if segment.contains(&b'%') { percent_decode(segment).into() } else { Cow::Borrowed(segment) }
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

impl PathPattern {
    /// Whether the pattern matches a path.
    pub(crate) fn matches(&self, path: &PathSegments<'_>) -> bool {
        let (pattern, path) = (&self.segments, &path.0);
        let fits = path.len() == pattern.len() || self.rest && path.len() > pattern.len();
        fits && pattern.iter().zip(path).all(|(pattern, segment)| match pattern {
            Segment::Literal(literal) => literal[..] == segment[..],
            Segment::Any => true,
        })
    }
}
