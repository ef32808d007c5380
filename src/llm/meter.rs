//! One limit of an account: so many requests or tokens in a period, and how many of them are used.

use std::time::Duration;

use super::Tokens;
use crate::algorithm::{Algorithm, GreedyRefill, GreedyState, Scale, StrictWindow};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

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
    /// Requests at the same time.
    Concurrency,
    /// No limit: the server has said to wait.
    ServerWait,
}

impl LimitKind {
    pub(super) const METERED: [Self; 6] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::RequestsPerDay,
        Self::TokensPerDay,
    ];

    /// The inverse of `kind as usize`.
    pub(super) fn at(index: usize) -> Self {
        let all = Self::METERED.into_iter().chain([Self::Concurrency]);
        all.into_iter().nth(index).unwrap_or(Self::ServerWait)
    }

    pub(super) fn period(self) -> Duration {
        const MINUTE: Duration = Duration::from_mins(1);
        const DAY: Duration = Duration::from_hours(24);
        if self.is_per_day() { DAY } else { MINUTE }
    }

    pub(super) fn is_per_day(self) -> bool {
        matches!(self, Self::RequestsPerDay | Self::TokensPerDay)
    }

    pub(super) fn counts_tokens(self) -> bool {
        !matches!(self, Self::Requests | Self::RequestsPerDay)
    }

    /// What one request with so many tokens takes.
    #[inline]
    pub(super) fn cost(self, tokens: Tokens) -> u64 {
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
            Self::Concurrency => "requests at the same time",
            Self::ServerWait => "the server's wait",
        })
    }
}

/// How much of a limit may come at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Burst {
    /// All of a period, refilled evenly: what OpenAI and Anthropic describe. Up to twice the limit
    /// can pass in the first period.
    #[default]
    Full,
    /// This share of a period's, in percent, refilled evenly; at least 1.
    Percent(u8),
    /// Never more than the limit in any window of the period, for servers that count strictly.
    Strict,
}

/// A limit and its level.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    level: Level,
    share: Share,
    pub(super) kind: LimitKind,
}

/// What a limit sees of a request, so that its cost needs no jump: requests, and masks of tokens.
#[derive(Clone, Copy, Debug)]
struct Share {
    requests: u64,
    input: u64,
    output: u64,
}

impl Share {
    fn of(kind: LimitKind) -> Self {
        let mask = |one: Tokens| if kind.cost(one) == 1 { u64::MAX } else { 0 };
        if !kind.counts_tokens() {
            return Self { requests: 1, input: 0, output: 0 };
        }
        Self { requests: 0, input: mask(Tokens::new(1, 0)), output: mask(Tokens::new(0, 1)) }
    }

    #[inline]
    fn cost(self, tokens: Tokens) -> u64 {
        // Either of the two is 0.
        self.requests | (tokens.input & self.input).saturating_add(tokens.output & self.output)
    }
}

#[derive(Clone, Debug)]
enum Level {
    Even(GreedyRefill, GreedyState, Scale),
    Strict(StrictWindow, <StrictWindow as Algorithm>::State),
}

/// The same for either rule.
macro_rules! on {
    ($level:expr, |$rule:ident, $state:ident| $body:expr) => {
        match $level {
            Level::Even($rule, $state, _) => $body,
            Level::Strict($rule, $state) => $body,
        }
    };
}

impl Meter {
    /// A limit of `count` per period, of which nothing is used.
    pub(super) fn new(
        kind: LimitKind,
        count: u64,
        burst: Burst,
        now: Timestamp,
    ) -> Result<Self, QuotaError> {
        let quota = Quota::per(count, kind.period());
        let even = |quota: Quota| {
            let rule = GreedyRefill::try_from(quota)?;
            let state = rule.start(now, 0);
            Ok(Level::Even(rule, state, rule.scale()))
        };
        let level = match burst {
            Burst::Full => even(quota)?,
            Burst::Percent(percent) => {
                let share = u128::from(count) * u128::from(percent) / 100;
                even(quota.burst(u64::try_from(share).unwrap_or(u64::MAX).max(1)))?
            }
            Burst::Strict => {
                let rule = StrictWindow::try_from(quota)?;
                let state = rule.start(now, 0);
                Level::Strict(rule, state)
            }
        };
        Ok(Self { level, share: Share::of(kind), kind })
    }

    /// This limit's level under a new limit of the same kind: what was used stays used.
    pub(super) fn carry_over_to(&self, new: &mut Self, now: Timestamp) {
        match (&self.level, &mut new.level) {
            (Level::Strict(old, from), Level::Strict(rule, to)) => {
                *to = rule.carry_over(old, from, now, CarryOver::AddDifference);
                let (was, is) = (old.used(from, now), rule.used(to, now));
                rule.take(to, now, u64::try_from(was.saturating_sub(is)).unwrap_or(u64::MAX));
            }
            (from, to) => {
                // The number used stays, whatever the limit.
                let used = on!(from, |rule, state| rule.used(state, now));
                on!(to, |rule, state| *state = rule.start(now, used));
            }
        }
    }

    /// The most that can be taken at once.
    pub(super) fn most(&self) -> u64 {
        on!(&self.level, |rule, _state| rule.limit())
    }

    /// The most per period.
    pub(super) fn count(&self) -> u64 {
        on!(&self.level, |rule, _state| rule.quota().permits())
    }

    /// What a request takes of this limit.
    #[inline]
    pub(super) fn cost(&self, tokens: Tokens) -> u64 {
        self.share.cost(tokens)
    }

    #[inline]
    pub(super) fn ready_at(&self, now: Timestamp, tokens: Tokens) -> Timestamp {
        let cost = self.cost(tokens);
        on!(&self.level, |rule, state| rule.ready_at(state, now, cost))
    }

    #[inline]
    pub(super) fn take(&mut self, now: Timestamp, tokens: Tokens) {
        self.take_count(now, self.cost(tokens));
    }

    #[inline]
    pub(super) fn take_count(&mut self, now: Timestamp, count: u64) {
        on!(&mut self.level, |rule, state| rule.take(state, now, count));
    }

    #[inline]
    pub(super) fn give_back(&mut self, now: Timestamp, count: u64) {
        on!(&mut self.level, |rule, state| rule.give_back(state, now, count));
    }

    /// In use, parts rounded up.
    pub(super) fn used(&self, now: Timestamp) -> u64 {
        let used = on!(&self.level, |rule, state| rule.used(state, now));
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// How much is left, of 65,535 parts.
    #[inline]
    pub(super) fn headroom(&self, now: Timestamp) -> u64 {
        match &self.level {
            Level::Even(rule, state, scale) => {
                u64::from(u16::MAX).saturating_sub(rule.share_used(*scale, state, now))
            }
            Level::Strict(rule, _) => {
                let left = u128::from(rule.limit().saturating_sub(self.used(now)));
                let share = left * u128::from(u16::MAX) / u128::from(rule.limit().max(1));
                u64::try_from(share).unwrap_or(0)
            }
        }
    }

    pub(super) fn full_at(&self, now: Timestamp) -> Timestamp {
        on!(&self.level, |rule, state| rule.full_at(state, now))
    }
}
