//! The kinds of limits.

use std::time::Duration;

use crate::WhichLimit;
use crate::llm::Tokens;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Requests per minute.
    Requests,
    /// Tokens per minute, input and output together.
    Tokens,
    /// Input tokens per minute.
    InputTokens,
    /// Output tokens per minute.
    OutputTokens,
    /// Requests per day.
    RequestsPerDay,
    /// Tokens per day.
    TokensPerDay,
    /// Concurrent requests: the requests in flight.
    Concurrency,
    /// Not a limit: a pause that the server asked for.
    ServerWait,
}

impl LimitKind {
    /// The kinds that are counted per period.
    pub(crate) const METERED: [Self; 6] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::RequestsPerDay,
        Self::TokensPerDay,
    ];

    /// The limit as a rejection of the core names it.
    pub(crate) fn which(self) -> WhichLimit {
        WhichLimit::Nth(self as usize)
    }

    /// The inverse of [`which`](Self::which).
    pub(crate) fn of(which: WhichLimit) -> Self {
        let all = Self::METERED.into_iter().chain([Self::Concurrency]);
        let find = |kind: &Self| kind.which() == which;
        all.into_iter().find(find).unwrap_or(Self::ServerWait)
    }

    pub(crate) fn period(self) -> Duration {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        if self.is_per_day() { DAY } else { MINUTE }
    }

    pub(crate) fn is_per_day(self) -> bool {
        matches!(self, Self::RequestsPerDay | Self::TokensPerDay)
    }

    pub(crate) fn counts_tokens(self) -> bool {
        !matches!(self, Self::Requests | Self::RequestsPerDay)
    }

    /// What one request with these tokens costs under a limit of this kind.
    #[inline]
    pub(crate) fn cost(self, tokens: Tokens) -> u64 {
        match self {
            Self::Tokens | Self::TokensPerDay => tokens.total(),
            Self::InputTokens => tokens.input,
            Self::OutputTokens => tokens.output,
            _ => 1,
        }
    }
}

impl std::fmt::Display for LimitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::InputTokens => "input tokens per minute",
            Self::OutputTokens => "output tokens per minute",
            Self::RequestsPerDay => "requests per day",
            Self::TokensPerDay => "tokens per day",
            Self::Concurrency => "concurrent requests",
            Self::ServerWait => "a pause that the server asked for",
        })
    }
}
