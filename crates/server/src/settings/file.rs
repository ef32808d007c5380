//! The file of the service: its policy, and its settings.

use std::path::{Path, PathBuf};

use tollgate_http::Policy;
use tollgate_http::policy::{Format, LoadError, PolicyError, SettingsReader, bytes_of};

use super::{Settings, read};
use crate::envoy_files;

/// The file of the service.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// What is limited.
    pub policy: Policy,
    /// Everything else.
    pub settings: Settings,
}

/// Why a file is not one of the service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can't be read, or has problems; all of them are told.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl From<PolicyError> for ConfigError {
    fn from(error: PolicyError) -> Self {
        Self::Load(error.into())
    }
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If the file can't be read, if the end of its name is not `.toml`, `.yaml`, `.yml` or
    /// `.json`, or if its policy or its settings have problems.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &whole(path)?)
    }

    /// Reads a file again under settings that hold until a restart: the files that add to the policy
    /// are those of `in_force`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn read_again(path: &Path, in_force: &Settings) -> Result<Self, ConfigError> {
        Self::parse_with(path, &whole(path)?, Some(&in_force.envoy.files))
    }

    /// Reads the text of the file at `path`, and the files that it names as `[server.envoy] files`,
    /// which add to the policy. Relative paths in it are those of the file's folder.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        Self::parse_with(path, text, None)
    }

    fn parse_with(
        path: &Path,
        text: &[u8],
        additions: Option<&[PathBuf]>,
    ) -> Result<Self, ConfigError> {
        let format = Format::named_by(path)?;
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let name = path.display().to_string();
        let read = |server: Option<SettingsReader<'_>>| {
            let settings = server.map(|server| read::settings(server, &folder)).unwrap_or_default();
            let additions = envoy_files::read_files(additions.unwrap_or(&settings.envoy.files));
            (settings, additions)
        };
        let (policy, settings) =
            Policy::parse_with_additions(format, text, &name, read::SERVER, read)?;
        Ok(Self { policy, settings })
    }
}

fn whole(path: &Path) -> Result<Vec<u8>, LoadError> {
    bytes_of(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })
}
