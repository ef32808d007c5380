//! One limit of an account: so many requests or tokens in a period, and how many of them are used.

use std::time::Duration;

use super::Tokens;
use crate::algorithm::{Algorithm, GreedyRefill, GreedyState, Receipt, Scale, StrictWindow};
use crate::{CarryOver, Quota, QuotaError, Timestamp, WhichLimit};

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

    /// The limit as a core's refusal names it.
    pub(super) fn which(self) -> WhichLimit {
        WhichLimit::Nth(self as usize)
    }

    /// The inverse of [`which`](Self::which).
    pub(super) fn of(which: WhichLimit) -> Self {
        let all = Self::METERED.into_iter().chain([Self::Concurrency]);
        let find = |kind: &Self| kind.which() == which;
        all.into_iter().find(find).unwrap_or(Self::ServerWait)
    }

    pub(super) fn period(self) -> Duration {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 3_600);
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
    /// This share of a period's, 0 to 100 percent, refilled evenly; at least one request or token, and with more than 100
    /// percent nothing is built. What a request gives back when it is settled
    /// comes on top, as far as the whole period's limit has room.
    Percent(u8),
    /// Never more than the limit in any window of the period, for servers that count strictly.
    Strict,
}

/// A limit and its level.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    level: Level,
    /// Where only a share may come at once: all of the period. What is given back late is measured by this, because the
    /// share has been refilled long before an answer comes.
    whole: Option<Box<(GreedyRefill, GreedyState)>>,
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
        let whole = match burst {
            Burst::Percent(_) => {
                let rule = GreedyRefill::try_from(quota)?;
                Some(Box::new((rule, rule.start(now, 0))))
            }
            Burst::Full | Burst::Strict => None,
        };
        Ok(Self { level, whole, share: Share::of(kind), kind })
    }

    /// This limit's level under a new limit of the same kind: what was used stays used, and what may be given back may
    /// still be.
    pub(super) fn carry_over_to(&self, new: &mut Self, now: Timestamp) {
        if let (Some(from), Some(to)) = (&self.whole, &mut new.whole) {
            let ((old, from), (rule, to)) = (&**from, &mut **to);
            *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
        }
        match (&self.level, &mut new.level) {
            (Level::Even(old, from, _), Level::Even(rule, to, _)) => {
                *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
            }
            (Level::Strict(old, from), Level::Strict(rule, to)) => {
                *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
            }
            (from, to) => {
                let used = on!(from, |rule, state| rule.used(state, now));
                on!(to, |rule, state| *state = rule.start(now, used));
            }
        }
    }

    /// Starts with what requests up to number `upto` took, which are still out.
    pub(super) fn adopt(&mut self, now: Timestamp, count: u64, upto: u64) {
        if let Some((rule, state)) = self.whole.as_deref_mut() {
            rule.adopt(state, now, count, upto);
            return on!(&mut self.level, |rule, state| rule.take(state, now, count));
        }
        match &mut self.level {
            Level::Even(rule, state, _) => rule.adopt(state, now, count, upto),
            // It can't tell when they were made: what it takes is final.
            Level::Strict(rule, state) => rule.take(state, now, count),
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

    /// Takes more than was estimated, but for one answer no more than comes in ten minutes, or in a day for a limit per
    /// day: what a server says was used may be absurd, and must not end a client. Says whether it was
    /// less than `count`.
    pub(super) fn overdraw(&mut self, now: Timestamp, count: u64) -> bool {
        let periods = if self.kind.is_per_day() { 1 } else { 10 };
        let most = self.count().saturating_mul(periods).saturating_add(self.most());
        self.take_count(now, count.min(most));
        count > most
    }

    #[inline]
    pub(super) fn take_count(&mut self, now: Timestamp, count: u64) {
        if let Some((rule, state)) = self.whole.as_deref_mut() {
            rule.take(state, now, count);
        }
        on!(&mut self.level, |rule, state| rule.take(state, now, count));
    }

    /// Takes what a request needs, which may be given back.
    #[inline]
    pub(super) fn hold(&mut self, now: Timestamp, tokens: Tokens, receipt: Receipt) {
        let count = self.cost(tokens);
        if let Some((rule, state)) = self.whole.as_deref_mut() {
            rule.hold(state, now, count, receipt);
            return on!(&mut self.level, |rule, state| rule.take(state, now, count));
        }
        on!(&mut self.level, |rule, state| rule.hold(state, now, count, receipt));
    }

    /// So much of what was held is final.
    #[inline]
    pub(super) fn release(&mut self, count: u64, receipt: Receipt) {
        if let Some((rule, state)) = self.whole.as_deref_mut() {
            return rule.release(state, count, receipt);
        }
        on!(&mut self.level, |rule, state| rule.release(state, count, receipt));
    }

    /// Gives back so much of what was held, as far as it has not come back by itself.
    #[inline]
    pub(super) fn undo(&mut self, now: Timestamp, count: u64, receipt: Receipt) {
        if let Some((rule, state)) = self.whole.as_deref_mut() {
            let given = rule.undo_counted(state, now, count, receipt);
            return on!(&mut self.level, |rule, state| rule.give_back(state, now, given));
        }
        on!(&mut self.level, |rule, state| rule.undo(state, now, count, receipt));
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
