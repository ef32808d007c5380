//! The settings of an agent.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tollgate::{Clock, CounterClock, Quota, QuotaError};

use super::ask::{Agent, KeyFunction, Shared, ShortAnswers};
use super::cache::Cache;
use super::context::Context;
use super::model::Model;
use super::rate_limit::RateLimit;
use super::statistics::Counts;

/// How many callers can be in use of their limits at the same time, unless the builder is told.
const MAX_KEYS: usize = 100_000;

/// The words of a short answer, unless the builder is told.
const SHORT_WORDS: usize = 12;

/// Builds an [`Agent`]. Without any setting, nothing is limited and nothing is cached.
#[must_use = "nothing is built before `build`"]
pub struct AgentBuilder {
    full: Quota,
    short: Option<Quota>,
    short_words: usize,
    cache: (usize, Duration),
    max_keys: usize,
    key: KeyFunction,
    clock: Arc<dyn Clock>,
}

impl AgentBuilder {
    pub(super) fn new() -> Self {
        Self {
            full: Quota::unlimited(),
            short: None,
            short_words: SHORT_WORDS,
            cache: (0, Duration::ZERO),
            max_keys: MAX_KEYS,
            key: Box::new(Context::key),
            clock: Arc::new(CounterClock::new()),
        }
    }

    /// Gives each key `requests` full answers a minute, evenly over the minute, of which up to
    /// `burst` can be asked for at once. Default: unlimited.
    ///
    /// A key that was idle has its burst saved up. So in its first minute a key can get up to
    /// `requests + burst` answers.
    pub fn rate_limit_per_minute(self, requests: u64, burst: u64) -> Self {
        self.rate_limit(Quota::per_minute(requests).burst(burst))
    }

    /// Gives each key this quota of full answers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, PacedModel};
    /// let agent = Agent::builder()
    ///     .rate_limit("500/h burst 20".parse()?)
    ///     .build(PacedModel::new(Duration::ZERO))?;
    /// assert_eq!(agent.rate_limit().stats("user:alice").limit, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rate_limit(self, quota: Quota) -> Self {
        Self { full: quota, ..self }
    }

    /// Sets which key a caller has. Default: [`Context::key`], which is the user, else the address,
    /// else `"global"`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, Context, PacedModel};
    /// // One limit for a company: all that is before the slash.
    /// let agent = Agent::builder()
    ///     .rate_limit_per_minute(60, 10)
    ///     .key(|context| {
    ///         let company = context.user().and_then(|user| user.split('/').next());
    ///         company.map_or_else(|| context.key(), |company| format!("company:{company}"))
    ///     })
    ///     .build(PacedModel::new(Duration::ZERO))?;
    /// assert_eq!(agent.key_of(&Context::of_user("acme/alice")), "company:acme");
    /// assert_eq!(agent.key_of(&Context::anonymous()), "global");
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn key(self, key: impl Fn(&Context) -> String + Send + Sync + 'static) -> Self {
        Self { key: Box::new(key), ..self }
    }

    /// Keeps the last `answers` full answers, for callers whose limit is reached: the same question
    /// by the same key is answered with one that is at most `max_age` old. Default: none.
    pub fn cache(self, answers: usize, max_age: Duration) -> Self {
        Self { cache: (answers, max_age), ..self }
    }

    /// Gives each key whose limit is reached `requests` short answers a minute, of which up to
    /// `burst` can be asked for at once. Default: none.
    pub fn short_answers_per_minute(self, requests: u64, burst: u64) -> Self {
        Self { short: Some(Quota::per_minute(requests).burst(burst)), ..self }
    }

    /// Sets how many words a short answer has at most. Default: 12.
    pub fn short_answer_words(self, words: usize) -> Self {
        Self { short_words: words, ..self }
    }

    /// Sets how many keys can be in use at the same time. Default: 100,000. A key is in use until
    /// its whole burst is there again. A new key for which there is no room is refused, so nobody
    /// fills the memory with made-up names.
    pub fn max_keys(self, keys: usize) -> Self {
        Self { max_keys: keys, ..self }
    }

    /// Sets the clock. In a test, this is a [`ManualClock`](tollgate::ManualClock) or a
    /// [`TokioClock`](tollgate::TokioClock). Default: [`CounterClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Builds the agent on top of `model`.
    ///
    /// # Errors
    ///
    /// When a quota is zero or out of range, or when there is no room for any key.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate_llm_clients::agent::{Agent, PacedModel};
    /// let builder = Agent::builder().rate_limit_per_minute(0, 1);
    /// assert!(builder.build(PacedModel::new(Duration::ZERO)).is_err());
    /// ```
    pub fn build(self, model: impl Model) -> Result<Agent, QuotaError> {
        let limit = |quota| RateLimit::new(quota, self.max_keys, Arc::clone(&self.clock));
        let most_words = self.short_words;
        let short = self.short.map(limit).transpose()?;
        let (answers, max_age) = self.cache;
        Ok(Agent {
            full: limit(self.full)?,
            short: short.map(|limit| ShortAnswers { limit, most_words }),
            key: self.key,
            model: Box::new(model),
            shared: Arc::new(Shared {
                cache: Cache::new(answers, max_age),
                counts: Counts::default(),
                clock: self.clock,
            }),
        })
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("AgentBuilder");
        debug.field("full", &self.full).field("short", &self.short).finish_non_exhaustive()
    }
}
