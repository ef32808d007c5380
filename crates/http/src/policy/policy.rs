//! The policy itself: from text, from a file, from code, and back to text.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::build::PolicyBuilder;
use super::code::Code;
use super::problem::{LoadError, Place, PolicyError, Problem};
use super::problems::Problems;
use super::settings::Settings;
use super::source::{self, Format, Node};
use super::{check, print, read};

/// The name of the source of a policy that has none.
pub(super) const NO_NAME: &str = "policy";

/// A checked policy. Clones share their memory.
///
/// Two policies are equal if they mean the same, whatever their formats were.
///
/// ```
/// use tollgate_http::policy::Policy;
///
/// let policy = Policy::from_toml(r#"
///     version = 1
///     [limits.calls]
///     quota = "600/min burst 100"
///     key = "address"
///     [[routes]]
///     path = "/{*rest}"
///     limits = ["calls"]
/// "#)?;
/// assert_eq!(policy.to_string().parse::<Policy>()?, policy);
/// # Ok::<(), tollgate_http::policy::PolicyError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    warnings: Vec<Problem>,
    hash: String,
}

impl Policy {
    /// A builder, for a policy in code.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Reads a policy in TOML. Its problems name the source `policy`.
    ///
    /// # Errors
    ///
    /// If the text has more than 4 MiB, is not TOML, or is not a policy.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        Self::parse(Format::Toml, text, NO_NAME)
    }

    /// Reads a policy in YAML. Its problems name the source `policy`.
    ///
    /// # Errors
    ///
    /// If the text has more than 4 MiB, is not YAML, has several documents, anchors, aliases or
    /// tags, or is not a policy.
    #[cfg(feature = "yaml")]
    #[cfg_attr(docsrs, doc(cfg(feature = "yaml")))]
    pub fn from_yaml(text: &str) -> Result<Self, PolicyError> {
        Self::parse(Format::Yaml, text, NO_NAME)
    }

    /// Reads a policy in JSON. Its problems name the source `policy`.
    ///
    /// # Errors
    ///
    /// If the text has more than 4 MiB, is not JSON, has comments or trailing commas, or is not a
    /// policy.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn from_json(text: &str) -> Result<Self, PolicyError> {
        Self::parse(Format::Json, text, NO_NAME)
    }

    /// Reads a policy from a file whose name ends with `.toml`, and with the features `yaml` and
    /// `json` also with `.yaml`, `.yml` or `.json`. Its problems name the path.
    ///
    /// # Errors
    ///
    /// If the file can't be read, its format is not known, or it is not a policy.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let format = Format::named_by(path)?;
        let bytes =
            bytes_of(path).map_err(|error| LoadError::Unreadable { path: path.into(), error })?;
        Ok(Self::parse(format, bytes, &path.display().to_string())?)
    }

    /// Reads a policy in any format. Its problems name the source `name`.
    ///
    /// # Errors
    ///
    /// If the text has more than 4 MiB, is not UTF-8, is not of the format, or is not a policy.
    ///
    /// ```
    /// use tollgate_http::policy::{Format, Policy};
    /// let error = Policy::parse(Format::Toml, "version = 2", "limits.toml").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "limits.toml:1:11: `version` is the number `2`: this program knows version 1 \
    ///      [bad-version]",
    /// );
    /// ```
    pub fn parse(format: Format, text: impl AsRef<[u8]>, name: &str) -> Result<Self, PolicyError> {
        let mut problems = Problems::new(name);
        let root = source::read(format, text.as_ref(), &mut problems);
        Self::from_tree(root.as_ref(), problems)
    }

    /// Reads and checks a tree. `None` stands for a text with syntax errors, which are in
    /// `problems`.
    pub(super) fn from_tree(
        root: Option<&Node>,
        mut problems: Problems,
    ) -> Result<Self, PolicyError> {
        let draft = root.and_then(|root| read::read(root, &mut problems));
        if let Some(draft) = &draft {
            check::check(draft, &mut problems);
        }
        let Some(draft) = draft.filter(|_| problems.is_empty()) else {
            return Err(problems.into_error());
        };
        let settings = draft.into_settings();
        let printed = print::text(&settings);
        if printed.len() > source::LONGEST {
            let start = Place::Text { line: 1, column: 1 };
            let place = root.map_or(&start, |root| &root.place);
            problems.add(place, Code::BadValue, || {
                let (length, most) = (printed.len(), source::LONGEST);
                format!("the policy is too long: as TOML it has {length} bytes, at most {most}")
            });
            return Err(problems.into_error());
        }
        let warnings = problems.into_warnings();
        let hash = hash(&printed);
        Ok(Self { inner: Arc::new(Inner { settings, warnings, hash }) })
    }

    /// What is allowed, but is probably a mistake, such as a limit that nobody uses; sorted by
    /// place. At most 200 are kept.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.inner.warnings
    }

    /// The first 12 hexadecimal digits of the SHA-256 of the printed policy: equal policies have
    /// the same, whatever their formats, comments and order of keys.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.inner.hash
    }

    /// The names of the limits, in the policy's order.
    #[must_use]
    pub fn limit_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.inner.settings.limits.iter().map(|limit| limit.name.as_str())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.inner.settings
    }
}

/// The bytes of a file, but not many more than [`LONGEST`](super::LONGEST): for a program that
/// reads files beside those of policies, and that could be given any file.
///
/// # Errors
///
/// If the operating system refuses.
pub fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(source::LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn hash(text: &str) -> String {
    print::hex(Sha256::digest(text).get(..6).unwrap_or_default())
}

/// Prints the policy as TOML. Reading this text gives an equal policy.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::text(self.settings()))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("hash", &self.inner.hash)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// Whether the settings are the same; warnings and their places do not count.
impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.settings() == other.settings()
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    /// Reads a policy in TOML, as [`from_toml`](Policy::from_toml) does.
    ///
    /// # Errors
    ///
    /// If the text has more than 4 MiB, is not TOML, or is not a policy.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::from_toml(text)
    }
}
