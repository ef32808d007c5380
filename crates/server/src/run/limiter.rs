//! The limiter of the service: its policy, its store, and the files from which it is read again.

use std::path::{Path, PathBuf};

use tollgate_http::{BuildError, HttpLimiter, Policy};

use super::StartError;
use crate::admin::Violations;
use crate::settings::{ConfigError, ConfigFile, Settings};

/// The limiter. If the policy is in the file at `path`, it is read again when this file or one that
/// adds to it changes, and on SIGHUP.
pub(super) async fn build(
    config: &ConfigFile,
    path: Option<&Path>,
    violations: &Violations,
) -> Result<HttpLimiter, StartError> {
    let ConfigFile { policy, settings } = config;
    let noted = violations.clone();
    let mut builder = HttpLimiter::builder(policy)
        .on_violation(move |violation| noted.add(violation.clone()))
        .violations_with_keys(settings.admin.show_keys);
    if let Some(store) = &settings.store {
        let secret = store.key_secret_file.as_deref().map(read_secret).transpose()?;
        builder = builder.store(store.open(secret.as_deref()).await?).fail_closed(true);
    }
    if let Some(path) = path {
        let files = std::iter::once(path).chain(settings.envoy.files.iter().map(PathBuf::as_path));
        let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
        let (path, settings) = (path.to_owned(), settings.clone());
        builder = builder.watch_with(files, move || read_again(&path, &settings));
    }
    Ok(builder.build()?)
}

/// The policy in a file that has changed.
fn read_again(path: &Path, in_force: &Settings) -> Result<Policy, BuildError> {
    let file = ConfigFile::read_again(path, in_force);
    let file = file.map_err(|ConfigError::Load(error)| error)?;
    if file.settings != *in_force {
        tracing::warn!(
            file = %path.display(),
            "the table `[server]` has changed: what it says holds after a restart"
        );
    }
    Ok(file.policy)
}

fn read_secret(path: &Path) -> Result<Vec<u8>, StartError> {
    let failed = |error| StartError::Secret { path: path.display().to_string(), error };
    let secret = std::fs::read(path).map_err(failed)?.trim_ascii().to_vec();
    if secret.len() < SHORTEST_SECRET {
        let why = format!("it has fewer than {SHORTEST_SECRET} bytes");
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why)));
    }
    Ok(secret)
}

/// The shortest secret, in bytes.
const SHORTEST_SECRET: usize = 16;
