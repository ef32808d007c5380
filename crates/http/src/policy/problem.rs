//! What is wrong with a policy, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::code::Code;

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
    /// In a file that adds to the policy. Both numbers begin with 1, and columns count characters.
    File {
        /// The name of the file.
        name: Arc<str>,
        /// The number of the line.
        line: u32,
        /// The number of the character in this line.
        column: u32,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "{line}:{column}"),
            Self::Code { path, .. } => f.write_str(path),
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
        }
    }
}

impl Place {
    /// The place with the name of its file: that of the policy is `source`.
    pub(super) fn with_source(&self, source: &str) -> String {
        match self {
            Self::File { .. } => self.to_string(),
            _ => format!("{source}:{self}"),
        }
    }
}

/// One problem of a policy. It is displayed as `FILE:LINE:COLUMN: message [code]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) source: Arc<str>,
    pub(super) place: Place,
    pub(super) code: Code,
    pub(super) message: String,
}

impl Problem {
    /// The name of the file or other source.
    #[must_use]
    pub fn source_name(&self) -> &str {
        match &self.place {
            Place::File { name, .. } => name,
            _ => &self.source,
        }
    }

    /// Where it is: the value or key at fault.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What kind of problem it is, for programs; messages may change.
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
        let place = self.place.with_source(&self.source);
        write!(f, "{place}: {} [{}]", self.message, self.code)
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
#[derive(Clone, PartialEq, Eq)]
pub struct PolicyError {
    pub(super) problems: Vec<Problem>,
    pub(super) more: usize,
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
#[derive(thiserror::Error)]
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

/// Shows what `Display` shows, because a `main` that returns the error prints it like this.
impl fmt::Debug for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows what `Display` shows, because a `main` that returns the error prints it like this.
impl fmt::Debug for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
