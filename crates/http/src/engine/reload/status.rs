//! How the reloads of a limiter went.

use std::time::SystemTime;

use crate::engine::BuildError;
use crate::policy::Policy;

/// How the reloads of a limiter went: for a status page, and for tests. Returned by
/// [`HttpLimiter::reload_status`](crate::HttpLimiter::reload_status).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadStatus {
    loaded_at: SystemTime,
    policy_hash: String,
    last_error: Option<String>,
    failed_at: Option<SystemTime>,
    reloads: u64,
    failures: u64,
    unchanged: u64,
    watching: Watching,
}

/// Whether and how a limiter watches the file of its policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Watching {
    /// No file is watched.
    #[default]
    Nothing,
    /// The operating system tells of changes.
    Events,
    /// The file is read every few seconds, because that was asked for, or because the operating
    /// system can't watch its folder.
    Polling,
}

impl ReloadStatus {
    pub(super) fn new(policy: &Policy, now: SystemTime) -> Self {
        Self {
            loaded_at: now,
            policy_hash: policy.hash().to_owned(),
            last_error: None,
            failed_at: None,
            reloads: 0,
            failures: 0,
            unchanged: 0,
            watching: Watching::Nothing,
        }
    }

    pub(super) fn succeeded(&mut self, policy: &Policy, now: SystemTime) {
        self.loaded_at = now;
        policy.hash().clone_into(&mut self.policy_hash);
        self.last_error = None;
        self.failed_at = None;
        self.reloads = self.reloads.saturating_add(1);
    }

    pub(super) fn failed(&mut self, error: &BuildError, now: SystemTime) {
        self.last_error = Some(error.to_string());
        self.failed_at = Some(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// Notes that the store or another part that the application gave panicked.
    #[cfg(feature = "watch")]
    pub(super) fn panicked(&mut self) {
        self.last_error = Some("the reload panicked".into());
        self.failures = self.failures.saturating_add(1);
    }

    #[cfg(feature = "watch")]
    pub(super) fn read_unchanged(&mut self) {
        self.unchanged = self.unchanged.saturating_add(1);
    }

    /// Notes how the file is watched; returns whether that is new.
    #[cfg(feature = "watch")]
    pub(super) fn watches(&mut self, watching: Watching) -> bool {
        std::mem::replace(&mut self.watching, watching) != watching
    }

    /// When the policy in force was loaded, by the limiter's time of day: when the limiter was
    /// built, or at the last successful reload.
    #[must_use]
    pub fn loaded_at(&self) -> SystemTime {
        self.loaded_at
    }

    /// The [hash](Policy::hash) of the policy in force.
    #[must_use]
    pub fn policy_hash(&self) -> &str {
        &self.policy_hash
    }

    /// Why the last reload failed: one line for each problem, with file, line and column. `None` if
    /// it succeeded, or if there was none.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// When the last reload failed. `None` if it succeeded or panicked, or if there was none.
    #[must_use]
    pub fn failed_at(&self) -> Option<SystemTime> {
        self.failed_at
    }

    /// How often the policy was replaced.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads
    }

    /// How many reloads failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// How often the watched file was read and had the same content as before.
    #[must_use]
    pub fn unchanged(&self) -> u64 {
        self.unchanged
    }

    /// Whether and how a file is watched.
    #[must_use]
    pub fn watching(&self) -> Watching {
        self.watching
    }
}
