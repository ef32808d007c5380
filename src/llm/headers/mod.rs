//! What a model API reports about its limits in the headers of one response.

mod date;
pub(in crate::llm) mod duration;
mod header_name;
mod header_value;
mod merge;

use std::time::{Duration, SystemTime};

/// What a server reported about its limits in the headers of one response.
///
/// This is a plain value: whatever was not reported, or not in a valid form, is `None`. It states
/// no more than the headers do. In particular, most headers do not say over which period a limit
/// counts: `x-ratelimit-limit-requests` is per minute at OpenAI, and per day at Groq.
///
/// # Headers
///
/// * OpenAI: `x-ratelimit-{limit,remaining,reset}-{requests,tokens,project-tokens}`, with resets as
///   `6m0s` ([guide][openai]).
/// * Azure: the same headers, with resets as plain seconds, and `x-ratelimit-renewalperiod-*` and
///   `x-ms-retry-after-ms`. The prefix has also been seen misspelt as `x-rate-limit-*`
///   ([openai-python#937][azure]).
/// * Groq: the same headers as OpenAI ([docs][groq]).
/// * Baidu: the same headers as OpenAI, and `input-tokens` and `output-tokens` (Qianfan API
///   reference).
/// * Cerebras and Mistral: the same headers as OpenAI, followed by `-minute` or `-day`. Mistral
///   writes `req` for `requests` ([docs][cerebras]).
/// * OpenRouter: `x-ratelimit-{limit,remaining,reset}`, which count requests, with resets in Unix
///   milliseconds ([docs][openrouter]).
/// * Anthropic:
///   `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`,
///   with resets in RFC 3339 ([docs][anthropic]). The `priority` and `fast` limits are not read,
///   because they apply to some requests only.
/// * All: `retry-after`, in seconds or as a date ([RFC 9110, 10.2.3][retry-after]), and
///   `retry-after-ms`.
///
/// [openai]: https://platform.openai.com/docs/guides/rate-limits
/// [azure]: https://github.com/openai/openai-python/issues/937
/// [groq]: https://console.groq.com/docs/rate-limits
/// [cerebras]: https://inference-docs.cerebras.ai/support/rate-limits
/// [openrouter]: https://openrouter.ai/docs/api-reference/limits
/// [anthropic]: https://docs.anthropic.com/en/api/rate-limits
/// [retry-after]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
///
/// # How headers are read
///
/// * Names may be in any case, and values may be surrounded by white space.
/// * Each reset and `retry-after` may have any of these forms: a duration (`6m0s`), seconds
///   (`11.4`), a Unix time (a number from 10⁹ on is in seconds, from 10¹¹ on in milliseconds),
///   RFC 3339, or an HTTP date.
/// * **The stricter value wins** if several headers report the same thing: the lower limit and
///   remaining, the longer wait and period. So repeating a header never loosens what it said.
/// * A remaining that exceeds the limit is lowered to the limit. (Anthropic rounds what remains to
///   thousands.)
/// * A wait until a date counts from the response's own `date` header if it has one, and else from
///   `received`. So the server's clock and the client's need not agree. A date in the past means
///   no wait.
/// * `retry-after-ms` wins over `retry-after`, because it is more precise. If it is shorter by a
///   second or more, rounding cannot be the reason, and the longer one wins.
/// * Headers that do not say what they limit (`x-ratelimit-limit`) count as limits of requests, but
///   only if no other header names requests: they may come from a gateway and mean something else.
/// * All other values are ignored, with a `DEBUG` event that has the header's name and the reason,
///   but never the value: anything that is not a number or a date, a negative number (so a
///   remaining of −1 means "not known"), a number above 64 bits, a wait of 10⁹ s (31 years) or
///   more, a value that is not text, and a value longer than 64 bytes.
///
/// Reading takes time linear in the size of the input. No input makes it panic.
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
    /// Requests; per minute unless the provider's documentation says otherwise.
    pub requests: ServerLimit,
    /// Requests, from headers whose name says per day.
    pub requests_per_day: ServerLimit,
    /// Tokens; per minute unless the provider's documentation says otherwise. Anthropic reports the
    /// most restrictive limit in force here.
    pub tokens: ServerLimit,
    /// Tokens, from headers whose name says per day.
    pub tokens_per_day: ServerLimit,
    /// Tokens of the prompt.
    pub input_tokens: ServerLimit,
    /// Tokens of the output.
    pub output_tokens: ServerLimit,
    /// Tokens of the project that the key belongs to (OpenAI). This limit applies in addition to
    /// `tokens`.
    pub project_tokens: ServerLimit,
    /// How long to wait before the next request, from when the response was sent. There is no upper
    /// bound here: a server may well report a day.
    pub retry_after: Option<Duration>,
}

/// What a server reported about one limit.
///
/// ```
/// use tollgate::llm::ServerLimit;
/// let nothing_reported = ServerLimit::default();
/// assert_eq!((nothing_reported.limit, nothing_reported.remaining), (None, None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimit {
    /// The most that can pass in a period.
    pub limit: Option<Bound>,
    /// What remains now, after the use of all clients of the account; never more than the limit.
    /// `None` if the limit is [unlimited](Bound::Unlimited).
    pub remaining: Option<u64>,
    /// The time until nothing of the limit is in use any more, from when the response was sent.
    /// This is not a wait time: requests may pass before then. `None` if the limit is
    /// [unlimited](Bound::Unlimited).
    pub reset_after: Option<Duration>,
    /// The period that the limit counts over, if a header reports it (Azure's `renewalperiod`).
    pub period: Option<Duration>,
}

/// The most that can pass in a period, as a header reports it. A stricter bound is less than a
/// looser one.
///
/// ```
/// use tollgate::llm::Bound;
/// assert!(Bound::Of(500) < Bound::Unlimited);
/// assert_eq!((Bound::Of(500).count(), Bound::Unlimited.count()), (Some(500), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// A finite limit.
    Of(u64),
    /// The header's value is `0` or `-1`: the server gives no number.
    ///
    /// This is no reason to lift a limit that is known: Azure sends −1 while it does not know the
    /// limit ([openai-dotnet#838](https://github.com/openai/openai-dotnet/issues/838)), and Mistral
    /// sends 0 for a model that is not part of the plan.
    Unlimited,
}

impl Bound {
    /// The number; `None` if unlimited.
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
    /// The headers are (name, value) pairs of strings or bytes; a `&http::HeaderMap` can be passed
    /// directly. `received` is used only for waits until a date, and only if the response has no
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
        let mut merge = merge::HeaderMerge::new(received);
        for (name, value) in headers {
            merge.add(name.as_ref(), value.as_ref());
        }
        merge.finish()
    }

    /// Whether the headers reported nothing at all.
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
