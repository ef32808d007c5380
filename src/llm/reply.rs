//! What a limiter needs to know about a response.

use std::time::Duration;

use super::{Bound, Counted, Meaning, Period, ServerLimit, ServerLimits, Tokens};
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

    /// The estimate to send a request again with, after this response to a request of `estimate`.
    ///
    /// If the server refused the request although its headers say that as much as the estimate
    /// remains of each limit, then the request needs more than was estimated: half as much again is
    /// returned, up to what the limits hold. Else the estimate is returned as it is.
    ///
    /// ```
    /// use tollgate::llm::{Reply, Tokens};
    /// let refused = Reply::new(429).headers([
    ///     ("x-ratelimit-limit-tokens", "10000"),
    ///     ("x-ratelimit-remaining-tokens", "2500"),
    /// ]);
    /// assert_eq!(refused.estimate_again(2_000), Tokens::from(3_000));
    /// assert_eq!(refused.estimate_again(4_000), Tokens::from(4_000)); // there was no room for it
    /// assert_eq!(Reply::new(429).estimate_again(2_000), Tokens::from(2_000));
    /// ```
    #[must_use]
    pub fn estimate_again(&self, estimate: impl Into<Tokens>) -> Tokens {
        let estimate = estimate.into();
        let half_more = |count: u64| count.saturating_add(count.div_ceil(2));
        let raised = Tokens::new(half_more(estimate.input), half_more(estimate.output));
        let needs =
            |tokens: Tokens, said: &ServerLimit| said.counted.per(Period::MINUTE).cost(tokens);
        let fits = |said: &ServerLimit| {
            said.remaining.is_none_or(|remaining| needs(estimate, said).max(1) <= remaining)
                && said.limit.and_then(Bound::count).is_none_or(|most| needs(raised, said) <= most)
        };
        let counts_tokens =
            |said: &ServerLimit| said.counted != Counted::Requests && said.remaining.is_some();
        let is_refused = self.meaning() == Meaning::Limited;
        let mut reported = self.reported.iter();
        let is_too_low = is_refused && self.reported.iter().any(counts_tokens);
        if is_too_low && reported.all(fits) { raised } else { estimate }
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
