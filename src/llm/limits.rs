//! The limits of an account as a plain value.

use super::{Burst, Counted, LimitKind, Period};
use crate::QuotaError;

/// The most limits that one account can have, learned ones included.
pub(crate) const MAX_LIMITS: usize = 12;

/// The limits of an account: requests and tokens per period, and concurrent requests. In all of
/// them, 0 means unlimited.
///
/// An account can have up to 12 limits that count over a period, also several of them over
/// different periods.
///
/// ```
/// use tollgate::llm::{Burst, Counted, Limits, Period};
/// let tier_one = Limits::new().requests_per_minute(500).tokens_per_minute(200_000);
/// let strict = tier_one.burst(Burst::Strict);
/// let hourly = tier_one.with(Counted::Tokens.per(Period::HOUR), 1_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Sorted by kind, without gaps.
    metered: [Option<(LimitKind, u64)>; MAX_LIMITS],
    /// Whether more limits were given than fit.
    too_many: bool,
    concurrency: Option<u64>,
    burst: Burst,
    kept_back: u8,
}

impl Limits {
    /// No limits. An account with these limits is unlimited until responses teach its limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limit of one kind. [`LimitKind::ServerWait`] is not a limit and is ignored. With
    /// more than 12 limits, building a limiter fails.
    #[must_use]
    pub fn with(mut self, kind: LimitKind, count: u64) -> Self {
        if kind == LimitKind::Concurrency {
            self.concurrency = (count > 0).then_some(count);
        } else if kind != LimitKind::ServerWait {
            self.set(kind, count);
        }
        self
    }

    fn set(&mut self, kind: LimitKind, count: u64) {
        let others = self.iter().filter(|(other, _)| *other != kind);
        let new = (count > 0).then_some((kind, count));
        let mut all = [None; MAX_LIMITS + 1];
        for (place, limit) in all.iter_mut().zip(others.chain(new)) {
            *place = Some(limit);
        }
        // `None` is less than any limit.
        all.sort_unstable_by_key(|limit| (limit.is_none(), *limit));
        self.too_many |= all[MAX_LIMITS].is_some();
        self.metered.copy_from_slice(&all[..MAX_LIMITS]);
    }

    /// Requests per second (RPS).
    #[must_use]
    pub fn requests_per_second(self, requests: u64) -> Self {
        self.with(LimitKind::Requests(Period::SECOND), requests)
    }

    /// Requests per minute (RPM).
    #[must_use]
    pub fn requests_per_minute(self, requests: u64) -> Self {
        self.with(LimitKind::Requests(Period::MINUTE), requests)
    }

    /// Requests per hour (RPH).
    #[must_use]
    pub fn requests_per_hour(self, requests: u64) -> Self {
        self.with(LimitKind::Requests(Period::HOUR), requests)
    }

    /// Requests per day (RPD).
    #[must_use]
    pub fn requests_per_day(self, requests: u64) -> Self {
        self.with(LimitKind::Requests(Period::DAY), requests)
    }

    /// Tokens per second (TPS), input and output together.
    #[must_use]
    pub fn tokens_per_second(self, tokens: u64) -> Self {
        self.with(LimitKind::Tokens(Period::SECOND), tokens)
    }

    /// Tokens per minute (TPM), input and output together.
    #[must_use]
    pub fn tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::Tokens(Period::MINUTE), tokens)
    }

    /// Tokens per hour (TPH), input and output together.
    #[must_use]
    pub fn tokens_per_hour(self, tokens: u64) -> Self {
        self.with(LimitKind::Tokens(Period::HOUR), tokens)
    }

    /// Tokens per day (TPD), input and output together.
    #[must_use]
    pub fn tokens_per_day(self, tokens: u64) -> Self {
        self.with(LimitKind::Tokens(Period::DAY), tokens)
    }

    /// Input tokens per minute (ITPM).
    #[must_use]
    pub fn input_tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::InputTokens(Period::MINUTE), tokens)
    }

    /// Output tokens per minute (OTPM).
    #[must_use]
    pub fn output_tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::OutputTokens(Period::MINUTE), tokens)
    }

    /// Concurrent requests.
    #[must_use]
    pub fn max_concurrent(self, requests: u64) -> Self {
        self.with(LimitKind::Concurrency, requests)
    }

    /// How much of each limit can be used at once; default: a full period's worth.
    #[must_use]
    pub fn burst(mut self, burst: Burst) -> Self {
        self.burst = burst;
        self
    }

    /// A percentage of each limit, from 0 to 90, that is left to other clients of the account;
    /// default: 0. Building fails with more than 90.
    ///
    /// The percentage is kept back from the level that the server reports as remaining. A limiter
    /// notices by itself what others use, from the headers of responses, but only after the fact:
    /// what is kept back covers what they use until then. At full load it costs next to no
    /// throughput, because the level is lowered and not the refill.
    #[must_use]
    pub fn keep_back(mut self, percent: u8) -> Self {
        self.kept_back = percent;
        self
    }

    /// The limit of one kind; `None` if it is unlimited.
    #[must_use]
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        if kind == LimitKind::Concurrency {
            return self.concurrency;
        }
        self.iter().find(|(other, _)| *other == kind).map(|(_, count)| count)
    }

    /// The limits that count over a period, in order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = (LimitKind, u64)> {
        self.metered.iter().map_while(|limit| *limit)
    }

    /// The limits on one thing, over whatever periods.
    pub(crate) fn on(&self, counted: Counted) -> impl Iterator<Item = (Period, u64)> {
        self.iter().filter_map(move |(kind, count)| {
            let (what, period) = kind.metered()?;
            (what == counted).then_some((period, count))
        })
    }

    /// Whether there is no limit at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.metered[0].is_none() && self.concurrency.is_none()
    }

    #[inline]
    pub(crate) fn concurrency(&self) -> Option<u64> {
        self.concurrency
    }

    pub(crate) fn burst_mode(&self) -> Burst {
        self.burst
    }

    /// What is kept back for others, in percent.
    pub(crate) fn kept_back(&self) -> u8 {
        self.kept_back
    }

    /// Whether the options are within their ranges.
    pub(crate) fn check(&self) -> Result<(), QuotaError> {
        let out_of_range = |option, given, most| {
            let given = usize::from(given);
            Err(QuotaError::OutOfRange { option, given, least: 0, most })
        };
        match (self.burst, self.kept_back) {
            (Burst::Percent(percent @ 101..), _) => {
                out_of_range("percent of a burst", percent, 100)
            }
            (_, kept_back @ 91..) => out_of_range("percent kept back", kept_back, 90),
            _ if self.too_many => out_of_range("number of limits of an account", 13, MAX_LIMITS),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_calls_does_not_matter() {
        let one = Limits::new().requests_per_day(5).requests_per_minute(1).tokens_per_hour(9);
        let other = Limits::new().tokens_per_hour(9).requests_per_minute(1).requests_per_day(5);
        assert_eq!(one, other);
        assert_eq!(one.iter().count(), 3);
        assert_eq!(one.get(LimitKind::Requests(Period::DAY)), Some(5));
        assert_eq!(one.requests_per_day(0).get(LimitKind::Requests(Period::DAY)), None);
        assert_eq!(one.requests_per_day(6).iter().count(), 3);
    }

    #[test]
    fn more_limits_than_fit_are_an_error() {
        let add = |limits: Limits, secs| match Period::seconds(secs) {
            Some(period) => limits.with(LimitKind::Requests(period), 10),
            None => limits,
        };
        let most = (1..=12).fold(Limits::new(), add);
        assert_eq!(most.check(), Ok(()));
        assert!(add(most, 13).check().is_err());
        // The same kind again takes no more room.
        assert_eq!(add(most, 12).check(), Ok(()));
    }
}
