//! What is wrong with a policy, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The most problems that one [`PolicyError`] lists; the others are counted.
const MOST: usize = 200;

/// Where in a policy a problem is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a text. Both numbers begin with 1, and columns count characters.
    Text {
        /// The number of the line.
        line: u32,
        /// The number of the character in this line.
        column: u32,
    },
    /// In a policy that was built in code.
    Code {
        /// How many values stand before this one.
        order: u32,
        /// The way to the value, such as `limits.calls.quota` or `routes[0].cost`.
        path: Arc<str>,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "{line}:{column}"),
            Self::Code { path, .. } => f.write_str(path),
        }
    }
}

/// Writes an enum whose variants are words, and the words.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)*) => {
        /// What kind of problem it is, as a word that never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// The word, such as `unknown-limit`.
            ///
            /// ```
            /// use tollgate_http::policy::Code;
            /// assert_eq!(Code::UnknownLimit.as_str(), "unknown-limit");
            /// ```
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)*
                }
            }
        }
    };
}

codes! {
    /// The text is not TOML, YAML or JSON.
    Syntax = "syntax",
    /// A setting that does not exist.
    UnknownKey = "unknown-key",
    /// A limit that is not in `[limits]`.
    UnknownLimit = "unknown-limit",
    /// A tier that is not in `[tiers]`.
    UnknownTier = "unknown-tier",
    /// A text that is not a quota, or a quota that the limit's algorithm does not accept.
    BadQuota = "bad-quota",
    /// A text that is neither an address nor a network.
    BadAddress = "bad-address",
    /// A network whose address has bits behind the prefix.
    HostBits = "host-bits",
    /// All addresses are trusted, so every client could choose its address.
    TrustsEverybody = "trusts-everybody",
    /// The length of a prefix is out of range.
    BadPrefix = "bad-prefix",
    /// A part of the key can be missing, and `missing` is not set.
    MissingUnset = "missing-unset",
    /// A required setting is missing.
    MissingValue = "missing-value",
    /// A request costs more than a limit can ever have.
    CostOverBurst = "cost-over-burst",
    /// A cost that is not a whole number of at least 1.
    BadCost = "bad-cost",
    /// An earlier route takes all requests of this one.
    UnreachableRoute = "unreachable-route",
    /// A name that is used twice.
    DuplicateName = "duplicate-name",
    /// A text that is not a pattern of paths.
    BadPath = "bad-path",
    /// A text that is not an HTTP method.
    BadMethod = "bad-method",
    /// Two entries about the same subject.
    DuplicateSubject = "duplicate-subject",
    /// Two settings that cannot both hold.
    Contradiction = "contradiction",
    /// The version is missing, or this program does not know it.
    BadVersion = "bad-version",
    /// Two settings of which only one may be given.
    BothGiven = "both-given",
    /// A header is to be read, but nobody is trusted to write it.
    NobodyTrusted = "nobody-trusted",
    /// A number that is not a status, or not one that is possible here.
    BadStatus = "bad-status",
    /// An API key that is not written as its SHA-256.
    RawApiKey = "raw-api-key",
    /// Any other value that is not possible here.
    BadValue = "bad-value",
    /// A warning: no request meets this limit.
    UnusedLimit = "unused-limit",
    /// A warning: the policy gives this tier to nobody.
    UnusedTier = "unused-tier",
    /// A warning: a setting without effect.
    UnusedSetting = "unused-setting",
    /// A warning: another limit always refuses first.
    RedundantLimit = "redundant-limit",
    /// A warning: a method that is not registered.
    UnknownMethod = "unknown-method",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem of a policy. It is displayed as `FILE:LINE:COLUMN: message [code]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    source: Arc<str>,
    place: Place,
    code: Code,
    message: String,
}

impl Problem {
    /// The name of the file or other source of the policy.
    #[must_use]
    pub fn source_name(&self) -> &str {
        &self.source
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What kind of problem it is.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What is wrong, and what to write instead.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.source, self.place, self.message, self.code)
    }
}

/// Why a text or the settings of a builder are not a policy: all problems that could be found,
/// sorted by place.
///
/// ```
/// use tollgate_http::policy::{Code, Policy};
///
/// let error = Policy::from_toml("version = 1\nalways = [\"calls\"]").unwrap_err();
/// assert_eq!(error.problems()[0].code(), Code::UnknownLimit);
/// assert!(error.to_string().starts_with("policy:2:11: "));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    problems: Vec<Problem>,
    more: usize,
}

impl PolicyError {
    /// The problems; at least one. At most 200 are listed.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many further problems were found.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} further problems", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyError {}

/// Why a file is not a policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("{}: the file can't be read: {error}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
    /// The end of the file's name says no format that this build can read.
    #[error("{}: the format is not known: the name must end with {}", path.display(), known)]
    UnknownFormat {
        /// The path of the file.
        path: PathBuf,
        /// The ends of names that this build knows.
        known: String,
    },
    /// The file has problems.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Collects the problems of one policy.
pub(super) struct Problems {
    source: Arc<str>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.into(), errors: Vec::new(), warnings: Vec::new(), more: 0 }
    }

    /// Notes a problem. The message is made only if there is room for it, so that a text with a
    /// hundred thousand mistakes costs no more than one with two hundred.
    pub(super) fn add(&mut self, place: &Place, code: Code, message: impl FnOnce() -> String) {
        if self.errors.len() < MOST {
            self.errors.push(problem(&self.source, place, code, message()));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn warn(&mut self, place: &Place, code: Code, message: impl FnOnce() -> String) {
        if self.warnings.len() < MOST {
            self.warnings.push(problem(&self.source, place, code, message()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub(super) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
        self.warnings
    }

    /// The error. It always says something: who reads no policy has noted why.
    pub(super) fn into_error(mut self) -> PolicyError {
        if self.errors.is_empty() {
            let start = Place::Text { line: 1, column: 1 };
            self.add(&start, Code::Syntax, || "this is not a policy".into());
        }
        self.errors.sort_by(|a, b| a.place.cmp(&b.place));
        PolicyError { problems: self.errors, more: self.more }
    }
}

fn problem(source: &Arc<str>, place: &Place, code: Code, message: String) -> Problem {
    Problem { source: Arc::clone(source), place: place.clone(), code, message }
}

/// A text as it is shown in a message: in backticks, on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

/// The end of a message about a word out of a set: the nearest word, or all of them.
pub(super) fn instead(found: &str, words: &[&str]) -> String {
    const LONGEST: usize = 100;
    const MOST_WORDS: usize = 12;
    let nearest = (found.len() <= LONGEST)
        .then(|| {
            let near = words.iter().map(|word| (strsim::damerau_levenshtein(found, word), *word));
            near.min_by_key(|(distance, _)| *distance)
        })
        .flatten()
        .filter(|(distance, word)| *distance <= (word.chars().count() / 2).clamp(1, 3));
    match nearest {
        Some((_, word)) => format!("did you mean {}?", shown(word)),
        None if words.is_empty() => "there is none".into(),
        None => {
            let mut list: Vec<String> =
                words.iter().take(MOST_WORDS).map(|word| shown(word)).collect();
            if words.len() > MOST_WORDS {
                list.push("…".into());
            }
            format!("possible: {}", list.join(", "))
        }
    }
}
