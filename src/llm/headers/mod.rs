//! What a model API says of its limits in the headers of one response.
//!
//! `name.rs` knows the header names of each provider, `value.rs` (over `duration.rs` and
//! `instant.rs`) the forms of their values, `reading.rs` puts them together.

mod duration;
mod instant;
mod name;
mod reading;
mod value;

use std::time::{Duration, SystemTime};

/// What a server said of its limits in one response's headers.
///
/// A plain value: what was not said, or not said validly, is `None`. It states no more than the
/// headers do. In particular, the period that a limit counts over is mostly not in them:
/// `x-ratelimit-limit-requests` is per minute at OpenAI, per day at Groq.
///
/// # Headers
///
/// | Provider | Headers | Source |
/// |---|---|---|
/// | OpenAI | `x-ratelimit-{limit,remaining,reset}-{requests,tokens,project-tokens}`, resets as `6m0s` | [guide](https://platform.openai.com/docs/guides/rate-limits) |
/// | Azure | the same, resets as plain seconds; `x-ratelimit-renewalperiod-*`; once misspelt `x-rate-limit-*`; `x-ms-retry-after-ms` | [openai-python#937](https://github.com/openai/openai-python/issues/937) |
/// | Groq | OpenAI's | [docs](https://console.groq.com/docs/rate-limits) |
/// | Baidu | OpenAI's, with `input-tokens` and `output-tokens` | Qianfan API reference |
/// | Cerebras, Mistral | OpenAI's, with `-minute` or `-day` after it; Mistral writes `req` | [docs](https://inference-docs.cerebras.ai/support/rate-limits) |
/// | OpenRouter | `x-ratelimit-{limit,remaining,reset}`, which count requests; reset in Unix milliseconds | [docs](https://openrouter.ai/docs/api-reference/limits) |
/// | Anthropic | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, resets in RFC 3339 | [docs](https://docs.anthropic.com/en/api/rate-limits) |
/// | all | `retry-after`: seconds or a date ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)); `retry-after-ms` | |
///
/// Anthropic's `priority` and `fast` limits are not read: they hold for some requests only.
///
/// # What is made of them
///
/// * Names in any case, values with white space around them.
/// * Any reset and `retry-after` may have any of the forms: a duration (`6m0s`), seconds (`11.4`),
///   Unix time (a number from 10⁹ on is seconds, from 10¹¹ on milliseconds), RFC 3339, an HTTP date.
/// * **The stricter wins** where several headers speak of one thing: the lower limit and remaining,
///   the longer wait and period. So repeating a header never loosens what it said.
/// * More remaining than the limit becomes the limit. (Anthropic rounds what remains to
///   thousands.)
/// * A date counts from the response's own `date` header if it has one, else from `received`: so
///   its clock and ours need not agree. A date that is over means now.
/// * `retry-after-ms` wins over `retry-after`, because it is more precise; unless it is shorter by a
///   second or more, which is no matter of precision: then the longer wins.
/// * Headers without a subject (`x-ratelimit-limit`) count only where no header names the requests:
///   a gateway on the way may mean something else by them.
/// * All other values are ignored, with a `DEBUG` event that has the header's name and the reason,
///   never the value: what is no number or date, negative (so a remaining of −1 is "not known"),
///   above 64 bits, a wait of 10⁹ s or more (31 years), not text, or longer than 64 bytes.
///
/// The work is linear in the size of the input; no input makes it panic.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tollgate::llm::{Bound, ServerLimits};
///
/// let headers = [
///     ("x-ratelimit-limit-requests", "60"),
///     ("x-ratelimit-remaining-requests", "59"),
///     ("x-ratelimit-reset-requests", "1s"),
///     ("x-ratelimit-reset-tokens", "6m0s"),
/// ];
/// let limits = ServerLimits::from_headers(headers, SystemTime::now());
/// assert_eq!(limits.requests.limit, Some(Bound::Of(60)));
/// assert_eq!(limits.requests.remaining, Some(59));
/// assert_eq!(limits.tokens.reset_after, Some(Duration::from_secs(360)));
/// assert_eq!(limits.retry_after, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// Requests, per minute unless the provider says otherwise.
    pub requests: ServerLimit,
    /// Requests, where the header's name says per day.
    pub requests_per_day: ServerLimit,
    /// Tokens, per minute unless the provider says otherwise. Anthropic's are those of the most
    /// restrictive limit in force.
    pub tokens: ServerLimit,
    /// Tokens, where the header's name says per day.
    pub tokens_per_day: ServerLimit,
    /// Tokens of the prompt.
    pub input_tokens: ServerLimit,
    /// Tokens of the answer.
    pub output_tokens: ServerLimit,
    /// Tokens of the project that the key belongs to (OpenAI): a limit besides `tokens`.
    pub project_tokens: ServerLimit,
    /// How long to wait before the next request, from when the response was sent. Not bounded here:
    /// a server may well say a day.
    pub retry_after: Option<Duration>,
}

/// One limit, as far as a server told it.
///
/// ```
/// use tollgate::llm::ServerLimit;
/// let nothing_said = ServerLimit::default();
/// assert_eq!((nothing_said.limit, nothing_said.remaining), (None, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimit {
    /// The most that passes in a period.
    pub limit: Option<Bound>,
    /// What is left now, never more than the limit; other clients of the account count too.
    /// `None` where the limit is [unlimited](Bound::Unlimited).
    pub remaining: Option<u64>,
    /// How long until the limit is **full** again, from when the response was sent. It is no time
    /// to wait for while some remains. `None` where the limit is [unlimited](Bound::Unlimited).
    pub reset_after: Option<Duration>,
    /// The period that the limit counts over, where a header says so (Azure's `renewalperiod`).
    pub period: Option<Duration>,
}

/// The most that passes in a period, as a limit header says it. The lower the stricter.
///
/// ```
/// use tollgate::llm::Bound;
/// assert!(Bound::Of(500) < Bound::Unlimited);
/// assert_eq!((Bound::Of(500).count(), Bound::Unlimited.count()), (Some(500), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// So many.
    Of(u64),
    /// A limit header of `0` or `-1`: the server gives no number.
    ///
    /// That is no reason to lift a limit that is known: Azure sends −1 while it does not know
    /// ([openai-dotnet#838](https://github.com/openai/openai-dotnet/issues/838)), Mistral 0 for a
    /// model that the plan does not have.
    Unlimited,
}

impl Bound {
    /// The number; `None` if there is none.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Of(count) => Some(count),
            Self::Unlimited => None,
        }
    }
}

impl ServerLimits {
    /// Reads the headers of a response that arrived at `received`.
    ///
    /// The headers are any (name, value) pairs of strings or bytes; a `&http::HeaderMap` is taken
    /// as it is. `received` is only looked at for dates, and then only if the response has no
    /// `date` header.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use tollgate::llm::ServerLimits;
    ///
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("retry-after", "20".parse()?);
    /// let limits = ServerLimits::from_headers(&headers, SystemTime::now());
    /// assert_eq!(limits.retry_after, Some(Duration::from_secs(20)));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    #[must_use]
    pub fn from_headers<N, V>(
        headers: impl IntoIterator<Item = (N, V)>,
        received: SystemTime,
    ) -> Self
    where
        N: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut reading = reading::Reading::new(received);
        for (name, value) in headers {
            reading.header(name.as_ref(), value.as_ref());
        }
        reading.finish()
    }

    /// Whether the headers said nothing at all.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use tollgate::llm::ServerLimits;
    /// let limits = ServerLimits::from_headers([("content-length", "0")], SystemTime::now());
    /// assert!(limits.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
