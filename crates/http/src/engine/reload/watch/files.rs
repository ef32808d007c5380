//! The watched files, and what was last read from them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::engine::{BuildError, HttpLimiter};
use crate::policy::{LoadError, Policy, bytes_of};

/// Makes a policy of the files.
pub(crate) type Load = Box<dyn Fn() -> Result<Policy, BuildError> + Send>;

/// Files that are read again and again.
pub(super) struct PolicyFiles {
    paths: Vec<PathBuf>,
    load: Load,
    /// What was last read, whether it was a policy or not.
    last: Option<Vec<Seen>>,
}

/// What is compared with the next reading of a file.
#[derive(PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable(io::ErrorKind),
}

/// The contents of all files, as hashes.
pub(super) struct Contents(Vec<io::Result<[u8; 32]>>);

impl Contents {
    /// Whether there is no such file as one of them.
    pub(super) fn is_missing(&self) -> bool {
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        self.0.iter().any(|content| content.as_ref().is_err_and(is_missing))
    }

    fn seen(&self) -> Vec<Seen> {
        let seen = |content: &io::Result<[u8; 32]>| match content {
            Ok(hash) => Seen::Content(*hash),
            Err(error) => Seen::Unreadable(error.kind()),
        };
        self.0.iter().map(seen).collect()
    }
}

impl PolicyFiles {
    pub(super) fn new(paths: Vec<PathBuf>, load: Load) -> Self {
        Self { paths, load, last: None }
    }

    /// Has the next reading loaded, unless its policy is in force.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    pub(super) fn read(&self) -> Contents {
        Contents(self.paths.iter().map(|path| hash_of(path)).collect())
    }

    /// Loads the policy, unless the contents are those of the last reading. The first reading counts
    /// as the last one if the limiter was built with its policy. A file that changes after `read` is
    /// loaded here already, and once more at the next reading, so no change is missed.
    pub(super) fn take(&mut self, contents: Contents, limiter: &HttpLimiter) {
        let seen = contents.seen();
        let is_first = self.last.is_none();
        if self.last.as_ref() == Some(&seen) {
            limiter.reloads().status_mut().read_unchanged();
            return;
        }
        self.last = Some(seen);
        let policy = self.policy(contents);
        if is_first && policy.as_ref().is_ok_and(|policy| *policy == limiter.policy()) {
            limiter.reloads().status_mut().read_unchanged();
            return;
        }
        let names: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        // The status and the events tell how it went.
        let _ = limiter.reload_with(Some(&names.join(", ")), policy);
    }

    /// The policy of files that can all be read.
    fn policy(&self, contents: Contents) -> Result<Policy, BuildError> {
        for (path, content) in self.paths.iter().zip(contents.0) {
            content.map_err(|error| LoadError::Unreadable { path: path.clone(), error })?;
        }
        (self.load)()
    }
}

/// The hash of a file. Anything else in its place, such as a pipe, is not opened, because that
/// could take for ever.
fn hash_of(path: &Path) -> io::Result<[u8; 32]> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    Ok(Sha256::digest(bytes_of(path)?).into())
}
