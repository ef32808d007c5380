//! Path patterns of routes: `/v1/exports/{id}`, `/static/{*rest}` (rule P6).

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::message::shown;

/// The most segments of a pattern: far more than any route needs, so few that comparing all
/// patterns with each other takes no time.
const MOST_SEGMENTS: usize = 100;

/// A pattern of paths.
///
/// The text begins with `/`. `{name}` stands for any one segment, and `{*name}`, which is only
/// possible at the end, for any further segments, also none. Any other segment stands for itself;
/// it may be percent-encoded, and is decoded once. Upper and lower case are different. Empty
/// segments do not count, so `/a` and `/a/` are the same pattern. The names in braces have no
/// meaning.
///
/// ```
/// use tollgate_http::policy::PathPattern;
///
/// let pattern: PathPattern = "/v1/exports/{id}".parse()?;
/// assert_eq!(pattern.to_string(), "/v1/exports/{id}");
/// let all: PathPattern = "/{*rest}".parse()?;
/// assert!(all.covers(&pattern) && !pattern.covers(&all));
/// # Ok::<(), tollgate_http::policy::ParsePathError>(())
/// ```
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

/// Why a text is not a pattern of paths. The message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParsePathError {
    message: String,
}

impl PathPattern {
    /// Whether this pattern matches every path that `other` matches.
    ///
    /// ```
    /// use tollgate_http::policy::PathPattern;
    /// let [any, one]: [PathPattern; 2] = ["/a/{x}".parse()?, "/a/b".parse()?];
    /// assert!(any.covers(&one) && !one.covers(&any));
    /// # Ok::<(), tollgate_http::policy::ParsePathError>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let long_enough = if self.rest {
            other.segments.len() >= self.segments.len()
        } else {
            !other.rest && other.segments.len() == self.segments.len()
        };
        long_enough
            && self.segments.iter().zip(&other.segments).all(|(segment, other)| match segment {
                Segment::Any => true,
                Segment::Literal(_) => segment == other,
            })
    }
}

impl FromStr for PathPattern {
    type Err = ParsePathError;

    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// If the text does not begin with `/`; if it has more than 100 segments, a query, a segment
    /// `.` or `..`, a wildcard that is not a whole segment in braces, a wildcard without a name,
    /// `{*name}` before the end, or a wrong percent-encoding.
    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        let error = |message: String| Err(ParsePathError { message });
        let Some(path) = text.strip_prefix('/') else {
            return error(match text {
                "" => "the path is empty: write `/` for the root, or `/{*rest}` for all".into(),
                "*" => "`*` is not a path: write `/{*rest}` for all".into(),
                _ => format!("the path {} does not begin with `/`", shown(text)),
            });
        };
        let (mut segments, mut rest) = (Vec::new(), false);
        if path.split('/').filter(|segment| !segment.is_empty()).count() > MOST_SEGMENTS {
            return error(format!(
                "the path {} has more than {MOST_SEGMENTS} segments",
                shown(text)
            ));
        }
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            if rest {
                return error(format!(
                    "in {}, segments follow `{{*…}}`, which takes all segments: move it to the end",
                    shown(text)
                ));
            }
            match wildcard(segment) {
                Wildcard::One => segments.push(Segment::Any),
                Wildcard::Rest => rest = true,
                Wildcard::Bad(message) => return error(format!("in {}, {message}", shown(text))),
                Wildcard::No => match literal(segment) {
                    Ok(literal) => segments.push(literal),
                    Err(message) => return error(format!("in {}, {message}", shown(text))),
                },
            }
        }
        Ok(Self { text: text.into(), segments, rest })
    }
}

enum Wildcard {
    One,
    Rest,
    No,
    Bad(String),
}

/// What a segment means if it has braces or looks like a wildcard of another program.
fn wildcard(segment: &str) -> Wildcard {
    if let Some(inner) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let (name, found) = match inner.strip_prefix('*') {
            Some(name) => (name, Wildcard::Rest),
            None => (inner, Wildcard::One),
        };
        return match name {
            "" => Wildcard::Bad(format!(
                "{} has no name: write `{{id}}` for one segment or `{{*rest}}` for all that follow",
                shown(segment)
            )),
            _ if name.contains(['{', '}', '*', ':', '<', '>']) => Wildcard::Bad(format!(
                "{} is not a wildcard: between the braces stands only a name",
                shown(segment)
            )),
            _ => found,
        };
    }
    if segment.contains(['{', '}']) {
        return Wildcard::Bad(format!(
            "{} is only partly in braces: a wildcard is a whole segment, such as `{{id}}`",
            shown(segment)
        ));
    }
    if let Some(name) = segment.strip_prefix(':') {
        let name = if name.is_empty() { "id" } else { name };
        return Wildcard::Bad(format!(
            "{} looks like a wildcard: write {}, or `%3A` for a colon",
            shown(segment),
            shown(&format!("{{{name}}}"))
        ));
    }
    if segment.contains('*') {
        return Wildcard::Bad(format!(
            "{} looks like a wildcard: write `{{name}}` for one segment, `{{*rest}}` for all that \
             follow, or `%2A` for an asterisk",
            shown(segment)
        ));
    }
    Wildcard::No
}

/// A segment that stands for itself.
fn literal(segment: &str) -> Result<Segment, String> {
    if let Some(mark) = segment.find(['?', '#']) {
        let mark = segment.get(mark..=mark).unwrap_or_default();
        return Err(format!("`{mark}` begins what is not of the path: a route has no query"));
    }
    let bytes: Vec<u8> = percent_decode_str(segment).collect();
    let encoded = segment.split('%').skip(1);
    if encoded.clone().any(|after| !is_hex(after)) {
        return Err(format!("{} has a `%` without two hexadecimal digits", shown(segment)));
    }
    if matches!(bytes.as_slice(), b"." | b"..") {
        return Err(format!(
            "{} is resolved in each request, so it would never match: leave it out",
            shown(segment)
        ));
    }
    if segment.chars().any(char::is_control) {
        return Err(format!("{} has a control character", shown(segment)));
    }
    Ok(Segment::Literal(bytes.into()))
}

/// Whether the text begins with two hexadecimal digits.
fn is_hex(text: &str) -> bool {
    let mut digits = text.bytes().take(2);
    let mut next = || digits.next().is_some_and(|digit| digit.is_ascii_hexdigit());
    next() && next()
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
