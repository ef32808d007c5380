//! The limit of each key: check, wait, reserve and stats.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tollgate::{Clock, Grant, KeyedLimiter, Quota, QuotaError, Reservation, Timestamp, WaitError};

/// How many requests of one key may wait at once. More are refused: a caller who sends without
/// reading the answers must not fill the memory.
const MAX_WAITERS: usize = 100;

/// A limit of requests for each key.
///
/// | Method | Takes a request | If the key has none left |
/// |---|---|---|
/// | [`check`](Self::check) | now | says when to come back |
/// | [`wait`](Self::wait) | when it is this caller's turn | waits, if the time suffices |
/// | [`reserve`](Self::reserve) | at a time that is known at once | names a later time |
/// | [`stats`](Self::stats) | no | says so |
///
/// Callers of one key are served first come, first served: who checks never overtakes who waits.
#[derive(Debug)]
pub struct RateLimit {
    per_key: KeyedLimiter<String, Arc<dyn Clock>>,
}

/// What a key's limit says at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Whose limit it is.
    pub key: String,
    /// The most requests that can be made at once; [`u64::MAX`] if there is no limit.
    pub limit: u64,
    /// How many requests could be made now.
    pub remaining: u64,
    /// The time after which all `limit` requests could be made, if none is made before.
    pub reset_after: Duration,
}

/// A request that was refused by a key's limit. Nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The state of the limit right after the refusal.
    pub stats: Stats,
    /// Why it was refused.
    pub reason: WaitError,
}

impl RateLimit {
    /// A limit of `quota` for each of at most `max_keys` keys that are in use at the same time.
    ///
    /// # Errors
    ///
    /// When the quota is zero or out of range, or `max_keys` is 0.
    pub(super) fn new(
        quota: Quota,
        max_keys: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QuotaError> {
        let builder = KeyedLimiter::builder(quota).max_keys(max_keys).max_waiters(MAX_WAITERS);
        Ok(Self { per_key: builder.clock(clock).build()? })
    }

    /// Takes one request of `key` if there is one now, and says what is left.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], which says when to come back.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate_llm_clients::agent::{Agent, PacedModel};
    /// let builder = Agent::builder().rate_limit_per_minute(60, 2).clock(ManualClock::new());
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// assert_eq!(agent.rate_limit().check("user:alice")?.remaining, 1);
    /// assert_eq!(agent.rate_limit().check("user:alice")?.remaining, 0);
    /// let refusal = agent.rate_limit().check("user:alice").unwrap_err();
    /// assert_eq!(refusal.retry_after(), Some(Duration::from_secs(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, key: &str) -> Result<Stats, Refusal> {
        match self.per_key.try_acquire(key, 1) {
            Ok(grant) => Ok(Stats::after(key, grant)),
            Err(rejection) => Err(self.refusal(key, rejection.into())),
        }
    }

    /// Waits until a request of `key` can be made, for at most `at_most`, and takes it.
    ///
    /// # Errors
    ///
    /// A [`Refusal`], **at once**, if the wait would take longer, or if 100 requests of the key
    /// already wait.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is taken, and those who wait behind move up.
    pub async fn wait(&self, key: &str, at_most: Duration) -> Result<Stats, Refusal> {
        match self.per_key.acquire_timeout(key, 1, at_most).await {
            Ok(grant) => Ok(Stats::after(key, grant)),
            Err(reason) => Err(self.refusal(key, reason)),
        }
    }

    /// Promises one request of `key` for the earliest time that is free. See
    /// [`Reservation::delay`] for that time, and [`Agent::ask_reserved`] for its use. A reservation
    /// that is dropped before its time gives the request up.
    ///
    /// [`Agent::ask_reserved`]: super::Agent::ask_reserved
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if 100 requests of the key already wait, or if too many keys are in use.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate_llm_clients::agent::{Agent, PacedModel};
    /// let builder = Agent::builder().rate_limit_per_minute(60, 1).clock(ManualClock::new());
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// let now = agent.rate_limit().reserve("user:alice")?;
    /// let later = agent.rate_limit().reserve("user:alice")?;
    /// assert_eq!(now.delay(), Some(Duration::ZERO));
    /// assert_eq!(later.delay(), Some(Duration::from_secs(1)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve<'a>(&'a self, key: &'a str) -> Result<Reservation<'a>, Refusal> {
        self.per_key.reserve(key, 1).map_err(|reason| self.refusal(key, reason))
    }

    /// What the limit of `key` says now. Takes nothing, and a key that was never seen stays unseen.
    pub fn stats(&self, key: &str) -> Stats {
        let usage = self.per_key.usage(key);
        Stats {
            key: key.to_owned(),
            limit: usage.limit,
            remaining: usage.remaining,
            reset_after: usage.reset_after,
        }
    }

    /// The limiter below, for all that has no method here: other quotas for single keys, blocked
    /// keys, totals, and the keys that were refused most.
    pub fn limiter(&self) -> &KeyedLimiter<String, Arc<dyn Clock>> {
        &self.per_key
    }

    pub(super) fn now(&self) -> Timestamp {
        self.per_key.clock().now()
    }

    fn refusal(&self, key: &str, reason: WaitError) -> Refusal {
        Refusal { stats: self.stats(key), reason }
    }
}

impl Stats {
    /// What is left after a grant, as of the moment of the grant.
    fn after(key: &str, grant: Grant) -> Self {
        let Grant { limit, remaining, reset_after, .. } = grant;
        Self { key: key.to_owned(), limit, remaining, reset_after }
    }

    /// The same as header fields. Times are in whole seconds, rounded up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate_llm_clients::agent::{Agent, PacedModel};
    /// let builder = Agent::builder().rate_limit_per_minute(60, 10).clock(ManualClock::new());
    /// let agent = builder.build(PacedModel::new(Duration::ZERO))?;
    /// let fields = agent.rate_limit().check("user:alice")?.headers();
    /// assert_eq!(fields[1], ("x-ratelimit-remaining", 9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn headers(&self) -> [(&'static str, u64); 3] {
        [
            ("x-ratelimit-limit", self.limit),
            ("x-ratelimit-remaining", self.remaining),
            ("x-ratelimit-reset", whole_seconds(self.reset_after)),
        ]
    }
}

/// For a log: `4 of 10 left for user:alice`.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, limit, remaining, .. } = self;
        match *limit {
            u64::MAX => write!(f, "no limit for {key}"),
            limit => write!(f, "{remaining} of {limit} left for {key}"),
        }
    }
}

impl Refusal {
    /// The time after which a request of the key can pass; `None` if waiting does not help, or if
    /// the time is not known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self.reason {
            WaitError::Timeout { retry_after } | WaitError::BlockedFor { retry_after } => {
                Some(retry_after)
            }
            _ => None,
        }
    }
}

/// For a log and for people: `rate limited: come back in 0.7 s (0 of 10 left for user:alice)`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retry_after() {
            Some(wait) => write!(f, "rate limited: come back in {:.1} s", tenths(wait))?,
            None => write!(f, "{}", self.reason)?,
        }
        write!(f, " ({})", self.stats)
    }
}

impl Error for Refusal {}

/// In seconds, rounded up to a tenth.
fn tenths(duration: Duration) -> f64 {
    let tenths = u32::try_from(duration.as_nanos().div_ceil(100_000_000)).unwrap_or(u32::MAX);
    f64::from(tenths) / 10.0
}

/// Rounded up, so that a client that waits this long does not come too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}
