//! The field `RateLimit`: a list of limits in the newer drafts, a dictionary in the older ones.
//!
//! * `RateLimit: "default";r=0;t=5` (draft-ietf-httpapi-ratelimit-headers-08 to -11)
//! * `RateLimit: limit=100, remaining=0, reset=30` (draft -07)
//!
//! Both are structured fields (RFC 9651). This reader takes from them what it needs, and passes
//! over the rest, also where it is malformed.

use std::time::Duration;

use super::number::{LONGEST_BELIEVED, seconds};

/// The parameter of the requests left: in the list, and in the dictionary.
const REMAINING: [&str; 2] = ["r", "remaining"];
/// The parameter of the seconds until there are more.
const RESET: [&str; 2] = ["t", "reset"];

/// One limit of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    /// Whether nothing is left; `None` if it is not said.
    pub(super) is_exhausted: Option<bool>,
    /// The time until there is more.
    pub(super) reset: Option<Duration>,
}

impl Limit {
    fn add(&mut self, parameter: &str) {
        let Some((name, value)) = parameter.split_once('=') else { return };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let Some(number) = seconds(value) else { return };
        if REMAINING.contains(&&*name) {
            self.is_exhausted = Some(number < Duration::from_secs(1));
        } else if RESET.contains(&&*name) {
            self.reset = Some(number).filter(|reset| *reset <= LONGEST_BELIEVED);
        }
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// The limits in one line of the field. The dictionary's is one limit.
pub(super) fn limits(line: &str) -> impl Iterator<Item = Limit> {
    let mut of_dictionary = Limit::default();
    let mut limits = Vec::new();
    for member in split_outside_quotes(line, ',') {
        let mut parts = split_outside_quotes(member, ';').into_iter();
        let head = parts.next().unwrap_or_default().trim();
        if !head.starts_with('"') && head.contains('=') {
            of_dictionary.add(head);
            continue;
        }
        let mut limit = Limit::default();
        parts.for_each(|parameter| limit.add(parameter));
        limits.push(limit);
    }
    limits.push(of_dictionary);
    limits.into_iter().filter(|limit| !limit.is_empty())
}

/// Splits at `separator`, but not inside a string, in which `\` escapes.
fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |next: char| {
        let splits = next == separator && !is_quoted;
        match next {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => {}
        }
        splits
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<(Option<bool>, Option<u64>)> {
        limits(line).map(|it| (it.is_exhausted, it.reset.map(|reset| reset.as_secs()))).collect()
    }

    #[test]
    fn the_list_of_the_newer_drafts() {
        assert_eq!(read(r#""default";r=0;t=5"#), [(Some(true), Some(5))]);
        assert_eq!(read(r#""default";r=50;t=30"#), [(Some(false), Some(30))]);
        assert_eq!(read(r#""a";r=9, "b";r=0;t=7"#), [(Some(false), None), (Some(true), Some(7))]);
        assert_eq!(read(r#" "a" ; r=0 ;pk=:cGs=:; t=60"#), [(Some(true), Some(60))]);
        assert_eq!(read("default;r=0;t=5"), [(Some(true), Some(5))]);
    }

    #[test]
    fn a_name_may_contain_anything() {
        assert_eq!(read(r#""a,b;r=0;t=9";r=3;t=1"#), [(Some(false), Some(1))]);
        assert_eq!(read(r#""say \"r=0;t=9\", or";r=3"#), [(Some(false), None)]);
        assert_eq!(read(r#""limit=0";r=0;t=1"#), [(Some(true), Some(1))]);
    }

    #[test]
    fn the_dictionary_of_the_older_drafts() {
        assert_eq!(read("limit=100, remaining=0, reset=30"), [(Some(true), Some(30))]);
        assert_eq!(read("limit=100,remaining=95,reset=30"), [(Some(false), Some(30))]);
        assert_eq!(read("limit=20, reset=37"), [(None, Some(37))]);
        assert_eq!(read("r=0, t=30"), [(Some(true), Some(30))]);
    }

    #[test]
    fn what_cannot_be_read_or_believed_says_nothing() {
        for line in ["", ",", ";;,;", "\"", r#""open;r=0;t=1"#, "r", "=", "r=-1", "t=abc", "100"] {
            assert_eq!(read(line), [], "{line}");
        }
        assert_eq!(read(r#""a";r=0;t=99999999999"#), [(Some(true), None)]);
        assert_eq!(read(r#""a";r=0;t=-5"#), [(Some(true), None)]);
    }
}
