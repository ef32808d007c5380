//! The kinds of limits: what is counted, and over which period.

use std::fmt;

use super::Period;
use crate::WhichLimit;
use crate::llm::Tokens;

/// What a limit counts.
///
/// ```
/// use tollgate::llm::{Counted, LimitKind, Period};
/// assert_eq!(Counted::Tokens.per(Period::HOUR), LimitKind::Tokens(Period::HOUR));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(::serde::Deserialize, ::serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Counted {
    /// Requests.
    Requests,
    /// Tokens, input and output together.
    Tokens,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Tokens of the project that the key belongs to. OpenAI reports this limit in addition to that
    /// of the organisation.
    ProjectTokens,
}

impl Counted {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Requests, Self::Tokens, Self::InputTokens, Self::OutputTokens, Self::ProjectTokens];

    /// The limit on this over a period.
    #[must_use]
    pub const fn per(self, period: Period) -> LimitKind {
        match self {
            Self::Requests => LimitKind::Requests(period),
            Self::Tokens => LimitKind::Tokens(period),
            Self::InputTokens => LimitKind::InputTokens(period),
            Self::OutputTokens => LimitKind::OutputTokens(period),
            Self::ProjectTokens => LimitKind::ProjectTokens(period),
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::ProjectTokens => "tokens of the project",
        })
    }
}

/// What is limited.
///
/// ```
/// use tollgate::llm::{LimitKind, Period};
/// assert_eq!(LimitKind::Requests(Period::MINUTE).to_string(), "requests per minute");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Requests per period.
    Requests(Period),
    /// Tokens per period, input and output together.
    Tokens(Period),
    /// Input tokens per period.
    InputTokens(Period),
    /// Output tokens per period.
    OutputTokens(Period),
    /// Tokens of the key's project per period.
    ProjectTokens(Period),
    /// Concurrent requests: the requests in flight.
    Concurrency,
    /// Not a limit: a pause that a response has caused.
    ServerWait,
}

impl LimitKind {
    /// What is counted, and over which period; `None` for the kinds without a period.
    #[must_use]
    pub const fn metered(self) -> Option<(Counted, Period)> {
        Some(match self {
            Self::Requests(period) => (Counted::Requests, period),
            Self::Tokens(period) => (Counted::Tokens, period),
            Self::InputTokens(period) => (Counted::InputTokens, period),
            Self::OutputTokens(period) => (Counted::OutputTokens, period),
            Self::ProjectTokens(period) => (Counted::ProjectTokens, period),
            Self::Concurrency | Self::ServerWait => return None,
        })
    }

    /// The period; `None` for the kinds without one.
    #[must_use]
    pub const fn period(self) -> Option<Period> {
        match self.metered() {
            Some((_, period)) => Some(period),
            None => None,
        }
    }

    pub(crate) fn counts_tokens(self) -> bool {
        !matches!(self, Self::Requests(_))
    }

    /// What one request with these tokens costs under a limit of this kind.
    #[inline]
    pub(crate) fn cost(self, tokens: Tokens) -> u64 {
        match self {
            Self::Tokens(_) | Self::ProjectTokens(_) => tokens.total(),
            Self::InputTokens(_) => tokens.input,
            Self::OutputTokens(_) => tokens.output,
            _ => 1,
        }
    }

    /// The limit as a rejection of the core names it.
    pub(crate) fn which(self) -> WhichLimit {
        WhichLimit::Nth(match self.metered() {
            Some((counted, period)) => {
                2 + counted as usize + Counted::ALL.len() * period.as_secs() as usize
            }
            None => usize::from(self == Self::Concurrency),
        })
    }

    /// The inverse of [`which`](Self::which).
    pub(crate) fn of(which: WhichLimit) -> Self {
        let WhichLimit::Nth(number) = which else { return Self::ServerWait };
        let Some(metered) = number.checked_sub(2) else {
            return if number == 1 { Self::Concurrency } else { Self::ServerWait };
        };
        let counted = Counted::ALL.get(metered % Counted::ALL.len());
        let period = u32::try_from(metered / Counted::ALL.len()).ok().and_then(Period::seconds);
        match (counted, period) {
            (Some(counted), Some(period)) => counted.per(period),
            _ => Self::ServerWait,
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.metered() {
            Some((counted, period)) => write!(f, "{counted} per {period}"),
            None if *self == Self::Concurrency => f.write_str("concurrent requests"),
            None => f.write_str("a pause that a response has caused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_of_the_core_names_each_kind() {
        let periods = [Period::SECOND, Period::MINUTE, Period::MONTH];
        let longest = Period::seconds(10 * 365 * 24 * 3_600);
        for period in periods.into_iter().chain(longest) {
            for counted in Counted::ALL {
                let kind = counted.per(period);
                assert_eq!(LimitKind::of(kind.which()), kind);
            }
        }
        for kind in [LimitKind::Concurrency, LimitKind::ServerWait] {
            assert_eq!(LimitKind::of(kind.which()), kind);
        }
    }
}
