//! The options of a pool.

use std::time::Duration;

use crate::limiters::verbs::Settings;
use crate::llm::KeyPool;
use crate::llm::OnDrop;
use crate::llm::engine::keys::Keys;
use crate::llm::engine::{Engine, Options};
use crate::{Clock, CounterClock, Jitter};

/// Builds a [`KeyPool`] with options.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct KeyPoolBuilder<C = CounterClock> {
    clock: C,
    settings: Settings,
    options: Options,
}

impl KeyPoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: CounterClock::new(),
            settings: Settings::default(),
            options: Options { try_first: true, ..Options::default() },
        }
    }
}

impl<C: Clock> KeyPoolBuilder<C> {
    pub(crate) fn read_clock(&self) -> &C {
        &self.clock
    }

    pub(crate) fn read_options(&self) -> &Options {
        &self.options
    }

    /// The clock to read; default: [`CounterClock`].
    pub fn clock<D: Clock>(self, clock: D) -> KeyPoolBuilder<D> {
        KeyPoolBuilder { clock, settings: self.settings, options: self.options }
    }

    /// See [`LimiterBuilder::clamp_estimates`](crate::llm::LimiterBuilder::clamp_estimates).
    pub fn clamp_estimates(mut self) -> Self {
        self.options.clamp = true;
        self
    }

    /// See [`LimiterBuilder::on_drop`](crate::llm::LimiterBuilder::on_drop).
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.options.on_drop = on_drop;
        self
    }

    /// See [`LimiterBuilder::max_server_wait`](crate::llm::LimiterBuilder::max_server_wait). In a
    /// pool, a request fails if every key that could serve it is paused for longer than this.
    pub fn max_server_wait(mut self, wait: Duration) -> Self {
        self.options.max_server_wait = wait;
        self
    }

    /// See [`LimiterBuilder::max_pause`](crate::llm::LimiterBuilder::max_pause).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{KeyPool, Limits};
    /// let hour = Duration::from_secs(3_600);
    /// let pool = KeyPool::builder().max_pause(hour).clock(ManualClock::new()).build();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// pool.try_acquire(0)?.limited([("retry-after", "999999999")]);
    /// assert_eq!(pool.usage("main").and_then(|usage| usage.paused_for), Some(hour));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.options.max_pause = pause;
        self
    }

    /// See [`LimiterBuilder::max_spent_rest`](crate::llm::LimiterBuilder::max_spent_rest).
    pub fn max_spent_rest(mut self, rest: Duration) -> Self {
        self.options.max_spent_rest = rest;
        self
    }

    /// Whether an account that is added without limits sends one request first, and the others once
    /// that one is answered; default: yes. Until its first response, nothing is known about such an
    /// account, and a first salvo would meet its limits.
    ///
    /// If there is no answer after 10 seconds, another request is sent. A request with a timeout
    /// waits for that answer, since nobody knows when it comes. The answer is a permit that is settled
    /// or ended, or the head of a stream that is [observed](crate::llm::Permit::observe_head); headers
    /// alone are none.
    pub fn try_first(mut self, first: bool) -> Self {
        self.options.try_first = first;
        self
    }

    /// See [`LimiterBuilder::provisional_limit`](crate::llm::LimiterBuilder::provisional_limit).
    pub fn provisional_limit(mut self, enabled: bool) -> Self {
        self.options.provisional_limit = enabled;
        self
    }

    /// The most requests that can wait at once; default: no bound.
    pub fn max_waiters(mut self, max_waiters: usize) -> Self {
        self.options.max_waiters = max_waiters;
        self
    }

    /// A random extra delay for waiters; default: none.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.settings.jitter = jitter;
        self
    }

    /// The name of the pool in tracing events; default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Builds an empty pool.
    #[must_use]
    pub fn build<T>(self) -> KeyPool<T, C> {
        let now = self.clock.now();
        let engine = Engine::new(self.clock, Keys::default(), now, self.settings, self.options);
        KeyPool::from_engine(engine)
    }
}
