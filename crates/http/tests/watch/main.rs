//! A policy file that is watched: real files in real folders (rules L2 and L4).

#![cfg(feature = "watch")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod beginnings;
mod changes;
#[cfg(unix)]
mod hangup;
#[cfg(unix)]
mod links;
mod several;
#[path = "../support/until.rs"]
mod until;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate_http::reload::{ReloadStatus, Watching};
use tollgate_http::{HttpLimiter, Policy};
use until::until;

/// A policy that can be told from others by a number.
fn text(number: u64) -> String {
    format!("version = 1\n[limits.calls]\nquota = '{number}/min'\n")
}

fn policy(number: u64) -> Policy {
    text(number).parse().unwrap()
}

/// A limiter that watches a file, and the file.
struct Scene {
    limiter: HttpLimiter,
    path: PathBuf,
    /// Removes the folder at the end.
    folder: TempDir,
}

impl Scene {
    /// Writes the policy 1 and watches it.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limits.toml");
        fs::write(&path, text(1)).unwrap();
        Self::watch(folder, path)
    }

    /// Watches a file that has the policy 1.
    fn watch(folder: TempDir, path: PathBuf) -> Self {
        let limiter = HttpLimiter::builder(policy(1)).watch(&path).build().unwrap();
        let scene = Self { limiter, path, folder };
        // The file was read at the beginning, and says what is in force.
        let status = scene.until(|status| status.unchanged() > 0);
        assert_eq!((status.reloads(), status.watching()), (0, Watching::Events));
        scene
    }

    /// Waits until the status is as it should be.
    fn until(&self, is_there: impl Fn(&ReloadStatus) -> bool) -> ReloadStatus {
        until(|| self.limiter.reload_status(), is_there)
    }

    /// Waits until this policy is in force.
    fn until_policy(&self, number: u64) -> ReloadStatus {
        let hash = policy(number).hash().to_owned();
        self.until(|status| status.policy_hash() == hash && status.last_error().is_none())
    }
}

/// Puts a file with the policy in the place of another, as most editors do.
fn rename_over(path: &Path, number: u64) {
    let new = path.with_extension("new");
    fs::write(&new, text(number)).unwrap();
    fs::rename(&new, path).unwrap();
}
