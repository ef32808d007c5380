//! The limits of an account as a plain value.

use super::{Burst, LimitKind};

/// The limits of an account. In all of them, 0 means unlimited.
///
/// ```
/// use tollgate::llm::{Burst, Limits};
/// let tier_one = Limits::new().requests_per_minute(500).tokens_per_minute(200_000);
/// let strict = tier_one.burst(Burst::Strict);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    counts: [Option<u64>; LimitKind::METERED.len()],
    concurrency: Option<u64>,
    burst: Burst,
}

impl Limits {
    /// No limits. An account with these limits is unlimited until responses teach its limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limit of one kind. [`LimitKind::ServerWait`] is not a limit and is ignored.
    #[must_use]
    pub fn with(mut self, kind: LimitKind, count: u64) -> Self {
        let count = (count > 0).then_some(count);
        match LimitKind::METERED.iter().position(|metered| *metered == kind) {
            Some(at) => self.counts[at] = count,
            None if kind == LimitKind::Concurrency => self.concurrency = count,
            None => {}
        }
        self
    }

    /// Requests per minute (RPM).
    #[must_use]
    pub fn requests_per_minute(self, requests: u64) -> Self {
        self.with(LimitKind::Requests, requests)
    }

    /// Tokens per minute (TPM), input and output together.
    #[must_use]
    pub fn tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::Tokens, tokens)
    }

    /// Input tokens per minute (ITPM).
    #[must_use]
    pub fn input_tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::InputTokens, tokens)
    }

    /// Output tokens per minute (OTPM).
    #[must_use]
    pub fn output_tokens_per_minute(self, tokens: u64) -> Self {
        self.with(LimitKind::OutputTokens, tokens)
    }

    /// Requests per day (RPD).
    #[must_use]
    pub fn requests_per_day(self, requests: u64) -> Self {
        self.with(LimitKind::RequestsPerDay, requests)
    }

    /// Tokens per day (TPD).
    #[must_use]
    pub fn tokens_per_day(self, tokens: u64) -> Self {
        self.with(LimitKind::TokensPerDay, tokens)
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

    /// The limit of one kind; `None` if it is unlimited.
    #[must_use]
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        match LimitKind::METERED.iter().position(|metered| *metered == kind) {
            Some(at) => self.counts[at],
            None if kind == LimitKind::Concurrency => self.concurrency,
            None => None,
        }
    }

    #[inline]
    pub(crate) fn concurrency(&self) -> Option<u64> {
        self.concurrency
    }

    pub(crate) fn burst_mode(&self) -> Burst {
        self.burst
    }
}
