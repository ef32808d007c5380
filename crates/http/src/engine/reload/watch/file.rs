//! The watched file, and what was last read from it.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::engine::{BuildError, HttpLimiter};
use crate::policy::{Policy, bytes_of};

/// A file that is read again and again.
pub(super) struct PolicyFile {
    path: PathBuf,
    /// What was last read, whether it was a policy or not.
    last: Option<Seen>,
}

/// What is compared with the next reading.
#[derive(PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable(io::ErrorKind),
}

/// What was read.
pub(super) struct Content(io::Result<Vec<u8>>);

impl Content {
    /// Whether there is no such file.
    pub(super) fn is_missing(&self) -> bool {
        matches!(&self.0, Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    fn seen(&self) -> Seen {
        match &self.0 {
            Ok(bytes) => Seen::Content(Sha256::digest(bytes).into()),
            Err(error) => Seen::Unreadable(error.kind()),
        }
    }
}

impl PolicyFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, last: None }
    }

    /// Reads the file. Anything else in its place, such as a pipe, is not opened, because that could
    /// take for ever.
    pub(super) fn read(&self) -> Content {
        Content(fs::metadata(&self.path).and_then(|metadata| {
            if metadata.is_file() { bytes_of(&self.path) } else { Err(not_a_file()) }
        }))
    }

    /// Takes the policy that was read, unless the content is that of the last reading. The first
    /// reading counts as the last one if the limiter was built with its policy.
    pub(super) fn take(&mut self, content: Content, limiter: &HttpLimiter) {
        let seen = content.seen();
        let is_first = self.last.is_none();
        if self.last.as_ref() == Some(&seen) {
            limiter.reloads().status_mut().read_unchanged();
            return;
        }
        self.last = Some(seen);
        let policy = Policy::of_file(&self.path, content.0).map_err(BuildError::from);
        if is_first && policy.as_ref().is_ok_and(|policy| *policy == limiter.policy()) {
            limiter.reloads().status_mut().read_unchanged();
            return;
        }
        // The status and the events tell how it went.
        let _ = limiter.reload_with(Some(&self.path), policy);
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")
}
