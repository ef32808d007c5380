//! The options of a limiter.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tollgate::Clock;

use super::compiled::Compiled;
use super::decide::Engine;
use super::error::BuildError;
use super::limiter::HttpLimiter;
use super::penalty::Penalties;
use super::secret::Secret;
use super::store::{EngineClock, Memory, Store};
use crate::engine::observe::{Observer, ObserverOptions};
use crate::policy::Policy;

/// Collects the options of an [`HttpLimiter`].
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::ManualClock;
/// use tollgate_http::{Facts, HttpLimiter, Policy};
///
/// let policy: Policy = "version = 1\nalways = ['a']\n[limits.a]\nquota = '1/min'".parse()?;
/// let clock = ManualClock::new();
/// let limiter = HttpLimiter::builder(&policy).clock(clock.clone()).build()?;
/// let passes = || limiter.decide(&Facts::new("GET", "/")).now().expect("memory").is_allowed();
/// assert!(passes() && !passes());
/// clock.advance(Duration::from_secs(60));
/// assert!(passes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is built before `build`"]
pub struct HttpLimiterBuilder {
    policy: Policy,
    clock: EngineClock,
    store: Option<Arc<dyn Store>>,
    wall_clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    fails_closed: bool,
    pub(crate) observer: ObserverOptions,
    #[cfg(feature = "watch")]
    pub(crate) watched: Option<crate::engine::reload::Watched>,
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

    /// The clock of the buckets in memory, of penalties and of metrics. Default: a
    /// [`CounterClock`](tollgate::CounterClock). Tests give a
    /// [`ManualClock`](tollgate::ManualClock).
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

    /// Builds the limiter. With the feature `tracing`, each warning of the policy is an event of
    /// level `warn`.
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
            secret: store.key_secret().map_or_else(Secret::new, Secret::common),
            penalties: Penalties::new(clock.clone()),
            wall_clock: self.wall_clock,
            fails_closed: self.fails_closed,
            observer: Observer::new(self.observer, &clock)?,
        };
        if let Some(penalty) = &compiled.penalty {
            engine.penalties.set_after(penalty.after);
        }
        #[cfg(feature = "tracing")]
        crate::engine::observe::policy_warnings(&self.policy);
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
