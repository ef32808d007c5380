//! The options of a limiter's builder that are about the file of its policy.

use std::path::PathBuf;
use std::time::Duration;

use super::Watched;
use crate::engine::HttpLimiterBuilder;

impl HttpLimiterBuilder {
    /// Reads the policy anew from the file at `path` whenever the file changes, and at once on
    /// SIGHUP. A file with problems changes nothing: they are told by an event of `tracing` and by
    /// [`HttpLimiter::reload_status`](crate::HttpLimiter::reload_status), and a later good file is
    /// taken.
    ///
    /// The folder of the file is watched, so the file may be replaced by another one, as editors
    /// do, or by a swapped link, as Kubernetes does for a `ConfigMap`. That is better than to write
    /// into it, because half a file can be a policy too. Changes are gathered until none comes for
    /// 200 ms, at most for two seconds. A file whose content is the one that was read last is not
    /// looked at. Beside that, the file is read every 30 seconds, in case a change is not heard of;
    /// or every 3 seconds, if the operating system can't watch the folder.
    ///
    /// The file is also read once at the beginning. If its policy differs from the one with which
    /// the limiter is built, it takes that one's place.
    ///
    /// This takes two threads, and on Linux one inotify instance. They end when the last clone of
    /// the limiter is dropped, and don't keep the process alive. SIGHUP then does nothing, because
    /// its default action, the end of the process, is not restored.
    ///
    /// ```no_run
    /// use tollgate_http::{HttpLimiter, Policy};
    ///
    /// let policy = Policy::from_path("limits.toml")?;
    /// let limiter = HttpLimiter::builder(&policy).watch("limits.toml").build()?;
    /// # Ok::<(), tollgate_http::BuildError>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch(mut self, path: impl Into<PathBuf>) -> Self {
        self.watched = Some(Watched { path: path.into(), every: None });
        self
    }

    /// As [`watch`](Self::watch), but the file is read once per `every`, at least a millisecond,
    /// and its folder is not watched: for file systems whose changes the operating system does not
    /// tell, such as network drives.
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch_by_polling(mut self, path: impl Into<PathBuf>, every: Duration) -> Self {
        let every = Some(every.max(Duration::from_millis(1)));
        self.watched = Some(Watched { path: path.into(), every });
        self
    }
}
