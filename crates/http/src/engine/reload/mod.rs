//! Replacing the policy of a limiter while requests are decided.
//!
//! A new policy is read, checked and built as a whole, and then put in the place of the old one. A
//! request sees one policy from begin to end. A policy with problems changes nothing. Limits that
//! are the same keep their levels.
//!
//! | To replace the policy | Call |
//! |---|---|
//! | by one that the program has made or read | [`HttpLimiter::reload`] |
//! | by the one in a file, now | [`HttpLimiter::reload_from_path`] |
//! | whenever a file changes, and on SIGHUP | `HttpLimiterBuilder::watch` (feature `watch`) |
//! | whenever one of several files changes | `HttpLimiterBuilder::watch_with` (feature `watch`) |
//!
//! What a reload has changed is in [`Changes`], and how the last ones went in [`ReloadStatus`].

mod changes;
mod status;
#[cfg(feature = "watch")]
mod watch;

use std::path::Path;
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};

pub use changes::{Changed, Changes, QuotaChange};
pub use status::{ReloadStatus, Watching};
#[cfg(feature = "watch")]
pub(crate) use watch::Watched;

use crate::engine::{BuildError, HttpLimiter};
use crate::policy::Policy;

/// What a limiter knows of its reloads.
pub(crate) struct Reloads {
    /// Held while a policy is replaced, so that two reloads don't mix.
    turn: Mutex<()>,
    status: Mutex<ReloadStatus>,
    #[cfg(feature = "watch")]
    watch: std::sync::OnceLock<watch::Watch>,
}

impl Reloads {
    pub(crate) fn new(policy: &Policy, now: SystemTime) -> Self {
        Self {
            turn: Mutex::new(()),
            status: Mutex::new(ReloadStatus::new(policy, now)),
            #[cfg(feature = "watch")]
            watch: std::sync::OnceLock::new(),
        }
    }

    #[cfg(feature = "watch")]
    pub(crate) fn status_mut(&self) -> parking_lot::MutexGuard<'_, ReloadStatus> {
        self.status.lock()
    }
}

impl HttpLimiter {
    /// A limiter under the policy in a file, which is read once. To have it read again when it
    /// changes, see `HttpLimiterBuilder::watch` (feature `watch`).
    ///
    /// # Errors
    ///
    /// If the file can't be read, or is not a policy; all its problems are in the error.
    ///
    /// ```no_run
    /// let limiter = tollgate_http::HttpLimiter::from_path("limits.toml")?;
    /// # Ok::<(), tollgate_http::BuildError>(())
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        Self::new(&Policy::from_path(path)?)
    }

    /// Replaces the policy, and returns what is different. Requests that are being decided end
    /// under the policy with which they began.
    ///
    /// A limit is the same as before if its name, key, algorithm, prefixes and `when_full` are. It
    /// keeps its levels, and a new quota, also by a tier or a subject, carries the used share over:
    /// 6 used of 10 become 12 of 20. All other limits begin full. Penalties stay.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit. The policy in force then stays as it was.
    ///
    /// # Deadlocks
    ///
    /// Reloads wait for each other, so this must not be called by the store while it opens buckets,
    /// nor by the recorder of metrics.
    ///
    /// ```
    /// use tollgate_http::{HttpLimiter, Policy};
    ///
    /// let policy = |quota: &str| -> Result<Policy, _> {
    ///     format!("version = 1\nalways = ['calls']\n[limits.calls]\nquota = '{quota}'").parse()
    /// };
    /// let limiter = HttpLimiter::new(&policy("10/min")?)?;
    /// let changes = limiter.reload(&policy("20/min")?)?;
    /// assert_eq!(changes.to_string(), "limits: 1 kept; quota of `calls`: 10/min -> 20/min");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload(&self, policy: &Policy) -> Result<Changes, BuildError> {
        self.reload_with(None, Ok(policy.clone()))
    }

    /// Replaces the policy by the one in a file. This is what happens on SIGHUP with the feature
    /// `watch`, but here by call, and whether or not the file has changed.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or is not a policy, or the store can't keep a limit. The policy
    /// in force then stays as it was.
    pub fn reload_from_path(&self, path: impl AsRef<Path>) -> Result<Changes, BuildError> {
        let path = path.as_ref();
        self.reload_with(
            Some(&path.display().to_string()),
            Policy::from_path(path).map_err(BuildError::from),
        )
    }

    /// Replaces the policy by the one that was read from the files `source`, and tells how that
    /// went.
    pub(crate) fn reload_with(
        &self,
        source: Option<&str>,
        policy: Result<Policy, BuildError>,
    ) -> Result<Changes, BuildError> {
        self.reload_in_turn(self.reloads().turn.lock(), source, policy)
    }

    /// Replaces the policy if `is_meant` says so of the one in force, which nobody else replaces
    /// meanwhile. Returns what is different, or `None` if another policy is in force.
    ///
    /// # Errors
    ///
    /// As [`reload`](Self::reload).
    ///
    /// # Deadlocks
    ///
    /// `is_meant` must not reload.
    ///
    /// ```
    /// use tollgate_http::{HttpLimiter, Policy};
    ///
    /// let policy: Policy = "version = 1".parse()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let hash = policy.hash().to_owned();
    /// let other: Policy = "version = 1\nmode = 'off'".parse()?;
    /// assert!(limiter.reload_if(|in_force| in_force.hash() == hash, &other)?.is_some());
    /// assert!(limiter.reload_if(|in_force| in_force.hash() == hash, &other)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reload_if(
        &self,
        is_meant: impl FnOnce(&Policy) -> bool,
        policy: &Policy,
    ) -> Result<Option<Changes>, BuildError> {
        let turn = self.reloads().turn.lock();
        if !is_meant(&self.policy()) {
            return Ok(None);
        }
        self.reload_in_turn(turn, None, Ok(policy.clone())).map(Some)
    }

    fn reload_in_turn(
        &self,
        turn: MutexGuard<'_, ()>,
        source: Option<&str>,
        policy: Result<Policy, BuildError>,
    ) -> Result<Changes, BuildError> {
        let now = (self.engine().wall_clock)();
        let replaced = policy.and_then(|policy| {
            let before = self.replace(&policy)?;
            let changes = Changes::between(&before.policy, &policy);
            Ok((policy, before, changes))
        });
        {
            let mut status = self.reloads().status.lock();
            match &replaced {
                Ok((policy, ..)) => status.succeeded(policy, now),
                Err(error) => status.failed(error, now),
            }
        }
        #[cfg(feature = "metrics")]
        self.measure_reload(replaced.as_ref().ok().map(|(_, before, _)| &**before));
        drop(turn);
        tell(source, &replaced);
        let changes = replaced.map(|(_, _, changes)| changes);
        // The old policy ends here, unless a request still uses it.
        self.free_retired();
        changes
    }

    /// How the last reloads went, and which policy is in force.
    ///
    /// ```
    /// use tollgate_http::{HttpLimiter, Policy};
    /// let limiter = HttpLimiter::new(&"version = 1".parse()?)?;
    /// assert!(limiter.reload_from_path("/there/is/no/such/file.toml").is_err());
    /// let status = limiter.reload_status();
    /// assert_eq!((status.reloads(), status.failures()), (0, 1));
    /// assert!(status.last_error().is_some_and(|error| error.contains("can't be read")));
    /// assert_eq!(status.policy_hash(), limiter.policy().hash());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reload_status(&self) -> ReloadStatus {
        self.reloads().status.lock().clone()
    }

    /// Begins to watch files.
    #[cfg(feature = "watch")]
    pub(crate) fn watch(&self, watched: Watched) -> Result<(), BuildError> {
        let watch = watch::start(self, watched).map_err(BuildError::Thread)?;
        // A limiter is asked to watch once, by its builder.
        let _ = self.reloads().watch.set(watch);
        Ok(())
    }
}

/// Tells subscribers of `tracing` how a reload went.
#[cfg(feature = "tracing")]
fn tell<T>(source: Option<&str>, replaced: &Result<(Policy, T, Changes), BuildError>) {
    let file = source.map(tracing::field::display);
    match replaced {
        Ok((policy, _, changes)) => {
            tracing::info!(
                target: "tollgate_http",
                file,
                hash = policy.hash(),
                warnings = policy.warnings().len(),
                %changes,
                "the policy was replaced"
            );
            crate::engine::observe::policy_warnings(policy);
        }
        // The error names the file, the line and the column of each problem.
        Err(error) => tracing::error!(
            target: "tollgate_http",
            file,
            %error,
            "the policy was not replaced, the old one stays in force"
        ),
    }
}

#[cfg(not(feature = "tracing"))]
fn tell<T>(_: Option<&str>, _: &Result<(Policy, T, Changes), BuildError>) {}
