//! Policies as text: TOML, YAML and JSON become the same tree, in which each value has its place.

#[cfg(feature = "json")]
mod json;
mod position;
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

use std::path::Path;

use super::code::Code;
use super::problem::{LoadError, Place};
use super::problems::Problems;

/// The longest text that is read, in bytes: 4 MiB, about a hundred thousand subjects.
pub const LONGEST: usize = 4 << 20;

/// How deeply tables and lists may be nested. A policy needs four levels.
const DEEPEST: usize = 32;

/// A format of policies. All have the same settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2 with its core schema, one document, without anchors, aliases and tags.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    Yaml,
    /// JSON (RFC 8259), without comments and trailing commas.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    Json,
}

impl Format {
    /// The formats that this build can read, with the ends of file names.
    const ENDS: &'static [(&'static str, Self)] = &[
        ("toml", Self::Toml),
        #[cfg(feature = "yaml")]
        ("yaml", Self::Yaml),
        #[cfg(feature = "yaml")]
        ("yml", Self::Yaml),
        #[cfg(feature = "json")]
        ("json", Self::Json),
    ];

    /// The format of a file with this name: `.toml`, `.yaml` or `.yml`, `.json`, in upper or lower
    /// case. `None` if this build cannot read it.
    ///
    /// ```
    /// use tollgate_http::policy::Format;
    /// assert_eq!(Format::of_path("/etc/limits.toml"), Some(Format::Toml));
    /// assert_eq!(Format::of_path("/etc/limits"), None);
    /// ```
    #[must_use]
    pub fn of_path(path: impl AsRef<Path>) -> Option<Self> {
        let end = path.as_ref().extension()?.to_str()?;
        let known = Self::ENDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(end))?;
        Some(known.1)
    }

    /// The format of a file with this name, as [`of_path`](Self::of_path), or why it is not known.
    ///
    /// # Errors
    ///
    /// [`LoadError::UnknownFormat`], which names the ends that this build can read.
    pub fn named_by(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        Self::of_path(path)
            .ok_or_else(|| LoadError::UnknownFormat { path: path.to_owned(), known: Self::ends() })
    }

    /// The ends of file names that this build can read, for a message.
    fn ends() -> String {
        let mut ends: Vec<String> = Self::ENDS.iter().map(|(end, _)| format!(".{end}")).collect();
        if !cfg!(feature = "yaml") {
            ends.push(".yaml with the feature `yaml`".into());
        }
        if !cfg!(feature = "json") {
            ends.push(".json with the feature `json`".into());
        }
        ends.join(", ")
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    #[cfg_attr(
        not(any(feature = "yaml", feature = "json")),
        allow(dead_code, reason = "TOML has no null")
    )]
    Null,
    Bool(bool),
    Number {
        /// As it is written.
        text: String,
        /// `None` for a fraction. A larger number than 128 bits is the largest of them.
        integer: Option<i128>,
    },
    Text(String),
    /// A date and time of TOML, as it is written.
    Time(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key.
    pub(super) place: Place,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The place of the value of `key`, or of the table if it has no such key.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.get(key).map_or(&self.place, |node| &node.place)
    }
}

/// A number that is written in decimal digits.
pub(super) fn integer(digits: &str, radix: u32) -> i128 {
    let largest = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(digits, radix).unwrap_or(largest)
}

/// The tree of a text. `None` if the text is not of this format; then there is a problem.
pub(super) fn read(format: Format, bytes: &[u8], problems: &mut Problems) -> Option<Node> {
    let start = Place::Text { line: 1, column: 1 };
    if bytes.len() > LONGEST {
        problems.add(&start, Code::Syntax, || {
            format!("the policy has {} bytes: at most {LONGEST} are read", bytes.len())
        });
        return None;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let before = String::from_utf8_lossy(valid);
            let place = position::Positions::new(&before).at(before.len());
            problems.add(&place, Code::Syntax, || "the text is not UTF-8".into());
            return None;
        }
    };
    match format {
        Format::Toml => toml::read(text, problems),
        #[cfg(feature = "yaml")]
        Format::Yaml => yaml::read(text, problems),
        #[cfg(feature = "json")]
        Format::Json => json::read(text, problems),
    }
}

/// Notes that tables and lists are nested too deeply.
fn too_deep(place: &Place, problems: &mut Problems) {
    problems.add(place, Code::Syntax, || {
        format!("tables and lists are nested more than {DEEPEST} levels deep")
    });
}

/// Adds an entry to a table, unless its key is there already.
#[cfg(any(feature = "yaml", feature = "json"))]
fn add_entry(
    entries: &mut Vec<Entry>,
    seen: &mut std::collections::HashMap<String, Place>,
    entry: Entry,
    problems: &mut Problems,
) {
    if let Some(first) = seen.get(&entry.key) {
        problems.add(&entry.place, Code::DuplicateName, || duplicate(&entry.key, Some(first)));
        return;
    }
    seen.insert(entry.key.clone(), entry.place.clone());
    entries.push(entry);
}

fn duplicate(key: &str, first: Option<&Place>) -> String {
    let key = super::message::shown(key);
    match first {
        Some(Place::Text { line, .. }) => format!("{key} is already in line {line}"),
        _ => format!("{key} is there twice"),
    }
}
