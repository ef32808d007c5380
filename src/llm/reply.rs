//! What a limiter needs to know about a response.

use std::time::Duration;

use super::{Meaning, ServerLimits, Tokens};
use crate::clock::wall;

/// What a limiter needs to know about a response.
///
/// Status and headers say what a response [means](Meaning). Where the body says more, the caller
/// adds it: [`limited_for`](Self::limited_for), [`key_spent`](Self::key_spent),
/// [`means`](Self::means), [`retry`](Self::retry) and [`give_up`](Self::give_up).
///
/// ```
/// use tollgate::llm::{Meaning, Reply, Tokens};
/// let reply = Reply::new(200)
///     .headers([("x-ratelimit-remaining-tokens", "149000")])
///     .spent(Tokens::new(800, 200));
/// assert_eq!(reply.meaning(), Meaning::Success);
/// // The body of this 429 says `"code": "insufficient_quota"`.
/// assert_eq!(Reply::new(429).key_spent().meaning(), Meaning::KeySpent);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Reply {
    status: u16,
    reported: ServerLimits,
    spent: Option<Tokens>,
    meaning: Option<Meaning>,
    retry: Option<bool>,
}

impl Reply {
    /// A response with this HTTP status, and without headers or a known usage.
    pub fn new(status: u16) -> Self {
        let reported = ServerLimits::default();
        Self { status, reported, spent: None, meaning: None, retry: None }
    }

    /// Adds the headers of the response; see [`ServerLimits::from_headers`].
    pub fn headers<N, V>(self, headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.limits(ServerLimits::from_headers(headers, wall::now()))
    }

    /// Adds what the headers of the response say, if they are parsed already.
    #[inline]
    pub fn limits(mut self, reported: ServerLimits) -> Self {
        // The wait that the body has said may have been added before.
        let wait = self.reported.retry_after;
        self.reported = reported;
        self.reported.retry_after = self.reported.retry_after.max(wait);
        self
    }

    /// Adds the usage that the response reports. Without it, the builder's
    /// [`on_drop`](super::LimiterBuilder::on_drop) decides what counts as used.
    pub fn spent(mut self, tokens: impl Into<Tokens>) -> Self {
        self.spent = Some(tokens.into());
        self
    }

    /// The body says that a limit is exceeded, and how long to wait: "Please try again in 20s", or
    /// Gemini's `retryDelay`. Of this wait and that of the headers, the longer one counts. See
    /// [`wait_in_text`](super::wait_in_text).
    pub fn limited_for(mut self, wait: Duration) -> Self {
        self.reported.retry_after = self.reported.retry_after.max(Some(wait));
        match self.meaning() {
            Meaning::Limited | Meaning::Overloaded => self,
            _ => self.means(Meaning::Limited),
        }
    }

    /// The body says that the account has no credit or no quota left.
    pub fn key_spent(self) -> Self {
        self.means(Meaning::KeySpent)
    }

    /// Says what the response means, where status and headers don't, such as an error that arrives
    /// as an event in a stream with status 200.
    pub fn means(mut self, meaning: Meaning) -> Self {
        self.meaning = Some(meaning);
        self
    }

    /// The request is sent again, whatever the response means.
    pub fn retry(mut self) -> Self {
        self.retry = Some(true);
        self
    }

    /// The request is not sent again, whatever the response means.
    pub fn give_up(mut self) -> Self {
        self.retry = Some(false);
        self
    }

    /// What the response means.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        self.meaning.unwrap_or_else(|| Meaning::of(self.status, &self.reported))
    }

    /// Whether the request is sent again, if it may be.
    #[must_use]
    pub fn wants_retry(&self) -> bool {
        self.retry.unwrap_or_else(|| self.meaning().is_worth_a_retry())
    }

    /// The status that was given.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What the headers say.
    #[must_use]
    pub fn reported(&self) -> &ServerLimits {
        &self.reported
    }

    /// The usage that was given.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.spent
    }
}
