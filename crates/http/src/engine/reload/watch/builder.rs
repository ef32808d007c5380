//! The options of a limiter's builder that are about the files of its policy.

use std::path::PathBuf;
use std::time::Duration;

use super::Watched;
use crate::engine::{BuildError, HttpLimiterBuilder};
use crate::policy::Policy;

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
        self.watched = Some(Watched::one(path.into()));
        self
    }

    /// As [`watch`](Self::watch), for a policy that is made of several files: `load` reads it anew
    /// whenever one of the files at `paths` changes, and on SIGHUP.
    /// `load` is not called while one of the files can't be read, which is an error of the reload.
    ///
    /// ```no_run
    /// use tollgate_http::policy::Format;
    /// use tollgate_http::{BuildError, HttpLimiter, Policy};
    ///
    /// // A policy whose limits stand in a file of their own.
    /// let load = || -> Result<Policy, BuildError> {
    ///     let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    ///     let text = read("routes.toml") + &read("limits.toml");
    ///     Ok(Policy::parse(Format::Toml, text, "routes.toml and limits.toml")?)
    /// };
    /// let builder = HttpLimiter::builder(&load()?);
    /// let limiter = builder.watch_with(["routes.toml", "limits.toml"], load).build()?;
    /// # Ok::<(), BuildError>(())
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch_with<P: Into<PathBuf>>(
        mut self,
        paths: impl IntoIterator<Item = P>,
        load: impl Fn() -> Result<Policy, BuildError> + Send + 'static,
    ) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        self.watched = Some(Watched { paths, load: Box::new(load), every: None });
        self
    }

    /// As [`watch`](Self::watch), but the file is read once per `every`, at least a millisecond,
    /// and its folder is not watched: for file systems whose changes the operating system does not
    /// tell, such as network drives.
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch_by_polling(mut self, path: impl Into<PathBuf>, every: Duration) -> Self {
        let every = Some(every.max(Duration::from_millis(1)));
        self.watched = Some(Watched { every, ..Watched::one(path.into()) });
        self
    }
}

impl Watched {
    /// One file that is a policy.
    fn one(path: PathBuf) -> Self {
        let paths = vec![path.clone()];
        let load = Box::new(move || Policy::from_path(&path).map_err(BuildError::from));
        Self { paths, load, every: None }
    }
}
