//! The options of a limiter.

use std::fmt;
use std::sync::Arc;
#[cfg(feature = "watch")]
use std::time::Duration;
use std::time::SystemTime;

use tollgate::Clock;

use super::compiled::Compiled;
use super::decide::Engine;
use super::error::BuildError;
use super::limiter::HttpLimiter;
use super::penalty::Penalties;
use super::secret::Secret;
use super::store::{EngineClock, Memory, Store};
use crate::observe::{Observer, ObserverOptions, Violation};
use crate::policy::Policy;

/// Collects the options of an [`HttpLimiter`].
#[must_use = "nothing is built before `build`"]
pub struct HttpLimiterBuilder {
    policy: Policy,
    clock: EngineClock,
    store: Option<Arc<dyn Store>>,
    wall_clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    fails_closed: bool,
    observer: ObserverOptions,
    #[cfg(feature = "watch")]
    watched: Option<crate::reload::Watched>,
}

impl HttpLimiterBuilder {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            clock: EngineClock::default(),
            store: None,
            wall_clock: Box::new(SystemTime::now),
            fails_closed: false,
            observer: ObserverOptions::default(),
            #[cfg(feature = "watch")]
            watched: None,
        }
    }

    /// The clock of the buckets in memory, and of penalties. Default: the core's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = EngineClock::Other(Arc::new(clock));
        self
    }

    /// The time of day: for the ends of blocks, and for `X-RateLimit-Reset` as an epoch. Default:
    /// the system's clock.
    pub fn wall_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.wall_clock = Box::new(now);
        self
    }

    /// Where the buckets are. Default: in memory.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Whether requests are refused with 503 while the store fails. Default: they go on. Memory
    /// does not fail.
    pub fn fail_closed(mut self, fails_closed: bool) -> Self {
        self.fails_closed = fails_closed;
        self
    }

    /// Calls `hook` with each [`Violation`]: a request that its limits refuse, one that is refused
    /// in a penalty, and a penalty that a handler's report begins. What shadow limits would refuse
    /// is none, and neither is a refusal for want of room.
    ///
    /// The hook runs on a thread of its own, one violation after another, so it may be slow. If
    /// more violations wait than [`violation_queue`](Self::violation_queue) says, further ones are
    /// dropped and counted. A panic of the hook is caught and counted. Both counts are in
    /// [`HttpLimiter::violation_counts`]. The thread ends when the last clone of the limiter is
    /// dropped and the hook has seen what waited; so the hook must not own a clone.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy: Policy = r#"
    ///     version = 1
    ///     always = ["calls"]
    ///     [limits.calls]
    ///     quota = "1/h"
    ///     key = "user"
    ///     missing = "share"
    /// "#.parse()?;
    /// let (sender, violations) = mpsc::channel();
    /// let limiter = HttpLimiter::builder(&policy)
    ///     .on_violation(move |violation| drop(sender.send(violation.clone())))
    ///     .build()?;
    /// for _ in 0..2 {
    ///     limiter.decide(&Facts::new("GET", "/").user("mallory")).now().expect("memory");
    /// }
    /// let violation = violations.recv()?;
    /// assert_eq!(violation.limits().collect::<Vec<_>>(), ["calls"]);
    /// assert_eq!(violation.key_kind(), "user");
    /// assert!(violation.key().is_none(), "keys are only told if it is asked for");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_violation(mut self, hook: impl Fn(&Violation) + Send + 'static) -> Self {
        self.observer.hook = Some(Box::new(hook));
        self
    }

    /// How many violations may wait for the hook: at least 1. Default: 1024.
    pub fn violation_queue(mut self, capacity: usize) -> Self {
        self.observer.queue = capacity.max(1);
        self
    }

    /// Whether violations have the key itself and not only its keyed hash. Default: no. Then keys
    /// such as the names of users go wherever the hook sends them. An API key is never part of a
    /// key in plain text.
    pub fn violations_with_keys(mut self, with_keys: bool) -> Self {
        self.observer.with_keys = with_keys;
        self
    }

    /// Reads the policy anew from the file at `path` whenever the file changes, and at once on
    /// SIGHUP. A file with problems changes nothing: they are told by an event of `tracing` and by
    /// [`HttpLimiter::reload_status`], and a later good file is taken.
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
    #[cfg(feature = "watch")]
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.watched = Some(crate::reload::Watched { path: path.into(), every: None });
        self
    }

    /// As [`watch`](Self::watch), but the file is read once per `every`, at least a millisecond,
    /// and its folder is not watched: for file systems whose changes the operating system does not
    /// tell, such as network drives.
    #[cfg(feature = "watch")]
    #[cfg_attr(docsrs, doc(cfg(feature = "watch")))]
    pub fn watch_by_polling(
        mut self,
        path: impl Into<std::path::PathBuf>,
        every: Duration,
    ) -> Self {
        let every = Some(every.max(Duration::from_millis(1)));
        self.watched = Some(crate::reload::Watched { path: path.into(), every });
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// If the store can't keep a limit of the policy, or the operating system refuses a thread that
    /// the limiter needs for [`on_violation`](Self::on_violation) or to watch a file.
    pub fn build(self) -> Result<HttpLimiter, BuildError> {
        let clock = self.clock;
        let store = self.store.unwrap_or_else(|| Arc::new(Memory::on(clock.clone())));
        let compiled = Compiled::new(&self.policy, &*store)?;
        let engine = Engine {
            secret: Secret::new(),
            penalties: Penalties::new(clock.clone()),
            wall_clock: self.wall_clock,
            fails_closed: self.fails_closed,
            observer: Observer::new(self.observer, clock)?,
        };
        if let Some(penalty) = &compiled.penalty {
            engine.penalties.set_after(penalty.after);
        }
        let limiter = HttpLimiter::from_parts(compiled, engine, store);
        #[cfg(feature = "metrics")]
        limiter.measure_first_policy();
        #[cfg(feature = "watch")]
        if let Some(watched) = self.watched {
            limiter.watch(watched)?;
        }
        Ok(limiter)
    }
}

impl fmt::Debug for HttpLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLimiterBuilder").finish_non_exhaustive()
    }
}
