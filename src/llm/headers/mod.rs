//! What a model API reports about its limits in the headers of one response.

mod date;
pub(crate) mod duration;
mod header_name;
mod header_value;
mod ietf;
mod merge;
mod resolve;
mod server_limit;
mod unknown;

pub use server_limit::{Bound, ServerLimit};

use std::time::{Duration, SystemTime};

use super::{Counted, LimitKind};

/// The most limits that are read from one response.
const MAX_REPORTS: usize = 12;

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
/// use tollgate::llm::{Bound, Counted, ServerLimits};
///
/// let headers = [
///     ("x-ratelimit-limit-requests", "60"),
///     ("x-ratelimit-remaining-requests", "59"),
///     ("x-ratelimit-reset-requests", "1s"),
///     ("x-ratelimit-reset-tokens", "6m0s"),
/// ];
/// let limits = ServerLimits::from_headers(headers, SystemTime::now());
/// let requests = limits.on(Counted::Requests).expect("reported");
/// assert_eq!((requests.limit, requests.remaining), (Some(Bound::Of(60)), Some(59)));
/// let tokens = limits.on(Counted::Tokens).expect("reported");
/// assert_eq!(tokens.reset_after, Some(Duration::from_secs(360)));
/// assert_eq!(limits.retry_after, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerLimits {
    /// In the order of the headers, without gaps.
    limits: [Option<ServerLimit>; MAX_REPORTS],
    /// How long to wait before the next request, from when the response was sent. There is no upper
    /// bound here: a server may well report a day. What it means depends on the status of the
    /// response: see [`Meaning`](super::Meaning).
    pub retry_after: Option<Duration>,
    /// For how long no request can pass, if the server says that the account is used up without
    /// giving numbers (Anthropic's `unified-status: rejected`).
    pub closed_for: Option<Duration>,
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

    /// The limits that were reported.
    pub fn iter(&self) -> impl Iterator<Item = &ServerLimit> {
        self.limits.iter().flatten()
    }

    /// What was reported of the limit on this whose period the headers do not state, if any, and
    /// else of the first one whose period they do state.
    #[must_use]
    pub fn on(&self, counted: Counted) -> Option<&ServerLimit> {
        let unstated = self.iter().find(|it| it.counted == counted && it.period.is_none());
        unstated.or_else(|| self.iter().find(|it| it.counted == counted))
    }

    /// What was reported of the limit of this kind; only if the headers state its period.
    #[must_use]
    pub fn of(&self, kind: LimitKind) -> Option<&ServerLimit> {
        let (counted, period) = kind.metered()?;
        self.iter().find(|it| it.counted == counted && it.period == Some(period))
    }

    /// Whether a limit is reported as 0 with 0 remaining. On a response that refuses the request,
    /// the key is spent then.
    pub(crate) fn says_spent(&self) -> bool {
        self.iter().any(ServerLimit::is_zero)
    }

    /// Whether nothing remains of a limit.
    pub(crate) fn says_used_up(&self) -> bool {
        self.iter().any(ServerLimit::is_used_up)
    }

    /// Adds a limit; of several about the same thing, the stricter values are kept.
    fn add(&mut self, new: ServerLimit) {
        let same = |it: &ServerLimit| (it.counted, it.period) == (new.counted, new.period);
        let place = self.limits.iter_mut().find(|place| place.as_ref().is_none_or(same));
        match place {
            Some(Some(known)) => {
                let least = |one: Option<u64>, other: Option<u64>| match (one, other) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                known.limit = match (known.limit, new.limit) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                known.remaining = least(known.remaining, new.remaining);
                known.reset_after = known.reset_after.max(new.reset_after);
                known.reset_margin = known.reset_margin.max(new.reset_margin);
            }
            Some(free) => *free = Some(new),
            None => {}
        }
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
