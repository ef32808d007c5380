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

use smallvec::SmallVec;

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
/// A name is read word by word: what is counted (`requests` or `req`, `tokens`, `input-tokens` or
/// `tokens-prompt`, `output-tokens` or `tokens-generated`, `project-tokens`), what is said of it
/// (`limit`, `remaining`, `reset`, `renewalperiod`), and over which period (`minute`, `10-second`,
/// `day`), in any order, after one of the prefixes `x-ratelimit-`, `x-rate-limit-`, `ratelimit-`,
/// `anthropic-ratelimit-`, `x-tokenlimit-`, `ratelimitbysize-` and `x-ratelimitbysize-`. So these
/// are read, and others like them:
///
/// * OpenAI and Groq: `x-ratelimit-{limit,remaining,reset}-{requests,tokens,project-tokens}`, with
///   resets as `6m0s` ([OpenAI][openai], [Groq][groq]).
/// * Azure: the same, with resets as plain seconds, and `x-ratelimit-renewalperiod-*`, which is the
///   period. The prefix has also been seen misspelt as `x-rate-limit-*`
///   ([openai-python#937][azure]).
/// * Cerebras and Mistral: the same, followed by the period, as in `-requests-day` and
///   `-req-10-second` ([Cerebras][cerebras]). Until 2025, Mistral sent
///   `ratelimitbysize-{limit,remaining,reset}`, which are tokens per minute.
/// * Fireworks: `x-ratelimit-{limit,remaining}-tokens-{prompt,cache-adjusted-prompt,generated}`
///   ([docs][fireworks]).
/// * Together: `x-ratelimit-{limit,remaining,reset}` beside `x-ratelimit-limit-tokens` or
///   `x-tokenlimit-*`, which are all per second ([docs][together]).
/// * OpenRouter: `x-ratelimit-{limit,remaining,reset}`, which count requests, with resets in Unix
///   milliseconds ([docs][openrouter]).
/// * Cohere: `x-trial-endpoint-call-{limit,remaining}` per minute, `x-endpoint-monthly-call-limit`.
/// * Anthropic:
///   `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`,
///   with resets in RFC 3339 ([docs][anthropic]). The `priority` and `fast` limits are not read,
///   because they apply to some requests only. Of a subscription, `anthropic-ratelimit-unified-`
///   `status` and `reset` are read: see [`closed_for`](Self::closed_for).
/// * The IETF drafts 3 to 11: `RateLimit-Limit`, `-Remaining`, `-Reset`, `RateLimit` and
///   `RateLimit-Policy` ([draft][ietf]), as Hugging Face sends them. A policy that counts neither
///   requests nor tokens is ignored.
/// * `LiteLLM`: the names above after `llm_provider-`.
/// * All: `retry-after`, in seconds or as a date ([RFC 9110, 10.2.3][retry-after]),
///   `retry-after-ms` and `x-ms-retry-after-ms`.
///
/// [openai]: https://platform.openai.com/docs/guides/rate-limits
/// [azure]: https://github.com/openai/openai-python/issues/937
/// [groq]: https://console.groq.com/docs/rate-limits
/// [cerebras]: https://inference-docs.cerebras.ai/support/rate-limits
/// [fireworks]: https://docs.fireworks.ai/serverless/rate-limits
/// [together]: https://docs.together.ai/docs/rate-limits
/// [openrouter]: https://openrouter.ai/docs/api-reference/limits
/// [anthropic]: https://docs.anthropic.com/en/api/rate-limits
/// [ietf]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
/// [retry-after]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
///
/// # How headers are read
///
/// * Names may be in any case, and values may be surrounded by white space. Parameters after a
///   semicolon are ignored, except `w`, which is the period in seconds of a limit.
/// * Each reset and `retry-after` may have any of these forms: a duration (`6m0s`, `60 seconds`),
///   seconds (`11.4`), a Unix time (a number from 10⁹ on is in seconds, from 10¹¹ on in
///   milliseconds), RFC 3339, or an HTTP date, also with `-0000` as its zone.
/// * **The stricter value wins** if several headers, or several items of a list that a proxy has
///   joined with commas, report the same thing: the lower limit and remaining, the longer wait and
///   period. So repeating a header never loosens what it said, as long as there are not more
///   limits than are read, which is 12. (One exception: a policy of an IETF draft may say only
///   later that it counts bytes.)
/// * What remains of a limit without a period belongs to the limit with the same number whose
///   period is stated, if there is one (`RateLimit-Limit: 100, 100;w=60`).
/// * A remaining that exceeds the limit is lowered to the limit. (Anthropic rounds what remains to
///   thousands.)
/// * A wait until a date counts from the response's own `date` header if it has one, and else from
///   `received`. So the server's clock and the client's need not agree. A date in the past means
///   no wait.
/// * `retry-after-ms` wins over `retry-after`, because it is more precise. If it is shorter by a
///   second or more, rounding cannot be the reason, and the longer one wins.
/// * Headers that do not say what they limit (`x-ratelimit-limit`) count as limits of requests, but
///   only if no other header names requests: they may come from a gateway and mean something else.
/// * Names that begin like a limit and have an unknown word are ignored, with one `INFO` event in
///   the life of the process.
/// * All other values are ignored, with a `DEBUG` event that has the header's name and the reason,
///   but never the value: anything that is not a number or a date, a negative number (so a
///   remaining of −1 means "not known"), a number above 64 bits, a wait of 10⁹ s (31 years) or
///   more, a value that is not text, and a value longer than 512 bytes.
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
    /// In order of what they count and of their periods. Few responses report more than four.
    limits: SmallVec<[ServerLimit; 4]>,
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
        self.limits.iter()
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
        let same = |it: &&mut ServerLimit| (it.counted, it.period) == (new.counted, new.period);
        if let Some(known) = self.limits.iter_mut().find(same) {
            known.add(new);
        } else if self.limits.len() < MAX_REPORTS {
            self.limits.push(new);
        }
    }

    /// Forgets what remains of what has no limit: such numbers are meaningless fillers. (They are not
    /// if another header states the limit.)
    fn forget_fillers(&mut self) {
        for limit in self.limits.iter_mut().filter(|it| it.limit == Some(Bound::Unlimited)) {
            (limit.remaining, limit.reset_after) = (None, None);
        }
    }

    /// Puts the limits in an order that does not depend on that of the headers.
    fn sort(&mut self) {
        self.limits.sort_unstable_by_key(|limit| (limit.counted, limit.period));
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
