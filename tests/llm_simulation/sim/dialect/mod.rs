//! How servers tell their limits: which headers an answer carries.

mod kinds;
mod standard;
mod text;

use super::counter::Counter;
use super::{Nanos, SECOND};

/// Whose headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `x-ratelimit-remaining-requests`, with Go's durations until all is there again. Groq's too.
    OpenAi,
    /// `anthropic-ratelimit-requests-remaining`, with dates; tokens are told in thousands.
    Anthropic,
    /// As `OpenAI`'s names, with the period in seconds, and whole seconds until all is there.
    Azure,
    /// As `OpenAI`'s names, but nothing says when there will be more. So does xAI.
    WithoutReset,
    /// The period is a part of the name, which calls requests so: Cerebras, Mistral.
    PeriodInName(&'static str),
    /// `x-ratelimit-limit` for requests and `x-tokenlimit-limit` for tokens, with whole seconds:
    /// `OpenRouter`, Together.
    Plain,
    /// The IETF's draft up to number 6: `ratelimit-limit`, of the limit that is next to be reached.
    Draft6,
    /// The IETF's draft from number 8 on: `ratelimit: "requests";r=4;t=12`.
    Draft8,
    /// Nothing but `retry-after` with a 429.
    RetryAfterAlone,
    /// Nothing but a wait in the body of a 429.
    BodyAlone,
    /// Nothing but the status 429.
    Nothing,
}

/// Names and values.
pub(crate) type Headers = Vec<(String, String)>;

impl Dialect {
    /// Whether a client can know the limits from an answer.
    pub(crate) fn tells_limits(self) -> bool {
        !matches!(self, Self::RetryAfterAlone | Self::BodyAlone | Self::Nothing)
    }

    /// The headers of any answer.
    pub(crate) fn headers(self, counters: &mut [Counter], now: Nanos) -> Headers {
        match self {
            Self::OpenAi => kinds::open_ai(counters, now),
            Self::Anthropic => kinds::anthropic(counters, now),
            Self::Azure => kinds::azure(counters, now),
            Self::WithoutReset => kinds::without_reset(counters, now),
            Self::PeriodInName(requests) => kinds::period_in_name(requests, counters, now),
            Self::Plain => standard::plain(counters, now),
            Self::Draft6 => standard::draft6(counters, now),
            Self::Draft8 => standard::draft8(counters, now),
            Self::RetryAfterAlone | Self::BodyAlone | Self::Nothing => Vec::new(),
        }
    }

    /// The headers that a 429 has besides.
    pub(crate) fn refusal(self, wait: Nanos) -> Headers {
        let seconds = ("retry-after".to_owned(), text::whole_seconds(wait));
        let millis = wait.div_ceil(SECOND / 1_000).to_string();
        match self {
            Self::OpenAi | Self::Azure => vec![seconds, ("retry-after-ms".to_owned(), millis)],
            Self::Anthropic | Self::Draft6 | Self::Draft8 | Self::RetryAfterAlone => vec![seconds],
            _ => Vec::new(),
        }
    }

    /// The wait that the body of a 429 names.
    pub(crate) fn refusal_in_body(self, wait: Nanos) -> Option<Nanos> {
        (self == Self::BodyAlone).then(|| wait.div_ceil(SECOND) * SECOND)
    }
}
