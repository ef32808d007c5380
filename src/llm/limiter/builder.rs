//! The options of a limiter.

use std::sync::Arc;
use std::time::Duration;

use crate::limiters::verbs::Settings;
use crate::llm::engine::account::{Account, Health};
use crate::llm::engine::keys::{Key, Keys};
use crate::llm::engine::{Engine, Options};
use crate::llm::{Burst, LimitKind, Limiter, Limits, OnDrop};
use crate::{Clock, CounterClock, Jitter, QuotaError};

/// Builds a [`Limiter`] with options. In all limits, 0 means unlimited.
///
/// ```
/// use std::time::Duration;
/// use tollgate::llm::{Burst, Limiter, OnDrop};
///
/// let model = Limiter::builder()
///     .requests_per_minute(500)
///     .tokens_per_minute(200_000)
///     .tokens_per_day(10_000_000)
///     .max_concurrent(32)
///     .burst(Burst::Percent(10))
///     .on_drop(OnDrop::Keep)
///     .max_server_wait(Duration::from_secs(60))
///     .build()?;
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct LimiterBuilder<C = CounterClock> {
    clock: C,
    limits: Limits,
    settings: Settings,
    options: Options,
}

impl LimiterBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: CounterClock::new(),
            limits: Limits::default(),
            settings: Settings::default(),
            options: Options::default(),
        }
    }
}

impl<C: Clock> LimiterBuilder<C> {
    /// The clock to read; default: [`CounterClock`].
    pub fn clock<D: Clock>(self, clock: D) -> LimiterBuilder<D> {
        let Self { limits, settings, options, .. } = self;
        LimiterBuilder { clock, limits, settings, options }
    }

    /// Sets all limits at once; limits that were set before are discarded.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Requests per minute (RPM).
    pub fn requests_per_minute(self, requests: u64) -> Self {
        let limits = self.limits.requests_per_minute(requests);
        self.limits(limits)
    }

    /// Tokens per minute (TPM), input and output together.
    pub fn tokens_per_minute(self, tokens: u64) -> Self {
        let limits = self.limits.tokens_per_minute(tokens);
        self.limits(limits)
    }

    /// Input tokens per minute (ITPM).
    pub fn input_tokens_per_minute(self, tokens: u64) -> Self {
        let limits = self.limits.input_tokens_per_minute(tokens);
        self.limits(limits)
    }

    /// Output tokens per minute (OTPM).
    pub fn output_tokens_per_minute(self, tokens: u64) -> Self {
        let limits = self.limits.output_tokens_per_minute(tokens);
        self.limits(limits)
    }

    /// Requests per day (RPD).
    pub fn requests_per_day(self, requests: u64) -> Self {
        let limits = self.limits.requests_per_day(requests);
        self.limits(limits)
    }

    /// Any limit, over any period; see [`Limits::with`].
    ///
    /// ```
    /// use tollgate::llm::{Counted, Limiter, Period};
    /// let hourly = Counted::Tokens.per(Period::HOUR);
    /// let model = Limiter::builder().limit(hourly, 1_000_000).build()?;
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn limit(self, kind: LimitKind, count: u64) -> Self {
        let limits = self.limits.with(kind, count);
        self.limits(limits)
    }

    /// A percentage of each limit that is left to other clients; see [`Limits::keep_back`].
    pub fn keep_back(self, percent: u8) -> Self {
        let limits = self.limits.keep_back(percent);
        self.limits(limits)
    }

    /// Tokens per day (TPD).
    pub fn tokens_per_day(self, tokens: u64) -> Self {
        let limits = self.limits.tokens_per_day(tokens);
        self.limits(limits)
    }

    /// Concurrent requests.
    pub fn max_concurrent(self, requests: u64) -> Self {
        let limits = self.limits.max_concurrent(requests);
        self.limits(limits)
    }

    /// How much of each limit can be used at once; default: a full period's worth.
    pub fn burst(self, burst: Burst) -> Self {
        let limits = self.limits.burst(burst);
        self.limits(limits)
    }

    /// Lowers an estimate that is larger than a limit to that limit, instead of rejecting it with
    /// [`Error::Never`](crate::llm::Error::Never). This suits estimates that are rough guesses.
    /// What the request uses beyond the lowered estimate becomes debt when the permit is settled.
    ///
    /// ```
    /// use tollgate::llm::{Limiter, Tokens};
    /// let model = Limiter::builder().tokens_per_minute(1_000).clamp_estimates().build()?;
    /// let permit = model.try_acquire(Tokens::new(600, 4_096))?;
    /// assert_eq!(permit.estimate(), Tokens::new(600, 400));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clamp_estimates(mut self) -> Self {
        self.options.clamp = true;
        self
    }

    /// What happens when a permit is dropped without being settled; default: [`OnDrop::Keep`].
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.options.on_drop = on_drop;
        self
    }

    /// The longest server-imposed pause that requests wait for; default: 120 s. While more than
    /// this is left of a pause, requests fail at once with
    /// [`Error::ServerWait`](crate::llm::Error::ServerWait), and so do the requests in the queue.
    pub fn max_server_wait(mut self, wait: Duration) -> Self {
        self.options.max_server_wait = wait;
        self
    }

    /// The longest pause that one response can cause; default: 24 hours. A longer `retry-after` is
    /// lowered to this, so that a mistaken or hostile value cannot stop the limiter for years.
    ///
    /// A learned limit over a longer period than this, and than a minute, may be closed for longer.
    /// While it is, one request passes each time this has gone by since the last request, so that
    /// its answer can show whether the limit is still what it was. The rest of a key that is spent
    /// has a bound of its own, [`max_spent_rest`](Self::max_spent_rest).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{Limiter, Reply};
    /// let hour = Duration::from_secs(3_600);
    /// let model = Limiter::builder().max_pause(hour).clock(ManualClock::new()).build()?;
    /// model.observe_reply(&Reply::new(429).headers([("retry-after", "999999999")]));
    /// assert_eq!(model.usage().paused_for, Some(hour));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.options.max_pause = pause;
        self
    }

    /// The longest rest of a key whose account has no credit or no quota left; default: an hour.
    /// The rest begins with two minutes, and doubles with each try that says the same.
    pub fn max_spent_rest(mut self, rest: Duration) -> Self {
        self.options.max_spent_rest = rest;
        self
    }

    /// Whether the limiter, if it is built without limits, sends one request first, and the others
    /// once that one is answered; default: no. Until its first response, nothing is known about the
    /// limits, and a first salvo would meet them.
    ///
    /// If there is no answer after 10 seconds, another request is sent. A request with a timeout
    /// waits for that answer, since nobody knows when it comes. The answer is a permit that is
    /// settled or ended, or the head of a stream that is
    /// [observed](crate::llm::Permit::observe_head); headers alone are none.
    pub fn try_first(mut self, first: bool) -> Self {
        self.options.try_first = first;
        self
    }

    /// Whether a 429 of a server that states no limits is taken for one, if none is configured;
    /// default: yes. As many requests a minute as were admitted in the minute before the refusal,
    /// if that were five at least.
    ///
    /// This limit is in the usage as long as it is in force. It grows by an eighth after a minute,
    /// and more slowly after each further refusal, which halves it at most. It ends as soon as a
    /// response states a limit, and an hour after the last refusal.
    ///
    /// ```
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{Limiter, Reply};
    /// let model = Limiter::builder().clock(ManualClock::new()).build()?;
    /// for _ in 0..20 {
    ///     model.try_acquire(100)?.settle(90);
    /// }
    /// model.try_acquire(100)?.end(&Reply::new(429));
    /// assert_eq!(model.usage().limits[0].limit, 20); // requests per minute
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// The name of the limiter in tracing events; default: empty.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// [`QuotaError`] if a limit is outside the supported range.
    pub fn build(self) -> Result<Limiter<C>, QuotaError> {
        let now = self.clock.now();
        let mut account = Account::new(self.limits, now)?;
        if self.options.try_first && account.is_unknown() {
            account.health = Health::on_trial();
        }
        let keys = Keys::one(account, Key::new(0));
        let engine = Engine::new(self.clock, keys, now, self.settings, self.options);
        Ok(Limiter { engine: Arc::new(engine) })
    }
}
