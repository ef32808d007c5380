//! What providers say of their limits in headers, and what nobody should say.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/looser.rs"]
mod looser;

mod llm_headers {
    mod dialects;
    mod properties;
    mod recorded;
    mod rules;
}

use std::time::{Duration, SystemTime};

use tollgate::llm::{Bound, Counted, Period, ServerLimit, ServerLimits};

/// Thu, 21 Aug 2025 12:41:00 GMT.
pub(crate) const NOW: u64 = 1_755_780_060;

pub(crate) fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

pub(crate) fn read(headers: &[(&str, &str)]) -> ServerLimits {
    ServerLimits::from_headers(headers.iter().copied(), at(NOW))
}

/// Reads lines of `name: value`.
pub(crate) fn read_lines(lines: &str) -> ServerLimits {
    let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.to_owned()));
    ServerLimits::from_headers(lines.lines().filter_map(header), at(NOW))
}

/// What a test expects of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    counted: Counted,
    period: Option<Period>,
    limit: Option<Bound>,
    remaining: Option<u64>,
    reset_after: Option<Duration>,
}

impl From<&ServerLimit> for Said {
    fn from(limit: &ServerLimit) -> Self {
        let ServerLimit { counted, period, limit, remaining, reset_after, .. } = *limit;
        Self { counted, period, limit, remaining, reset_after }
    }
}

/// Nothing but what is counted.
pub(crate) fn on(counted: Counted) -> Said {
    Said { counted, period: None, limit: None, remaining: None, reset_after: None }
}

impl Said {
    pub(crate) fn per(mut self, secs: u32) -> Self {
        self.period = Period::seconds(secs);
        self
    }

    pub(crate) fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(Bound::Of(limit));
        self
    }

    pub(crate) fn unlimited(mut self) -> Self {
        self.limit = Some(Bound::Unlimited);
        self
    }

    pub(crate) fn remaining(mut self, remaining: u64) -> Self {
        self.remaining = Some(remaining);
        self
    }

    pub(crate) fn reset(mut self, millis: u64) -> Self {
        self.reset_after = Some(Duration::from_millis(millis));
        self
    }
}

/// The limits, in order of what they count and of their periods.
pub(crate) fn limits(all: &ServerLimits) -> Vec<Said> {
    all.iter().map(Said::from).collect()
}

/// The only limit that these headers report.
pub(crate) fn only(headers: &[(&str, &str)]) -> Said {
    let all = limits(&read(headers));
    let [one] = all[..] else { panic!("{headers:?}: {all:?}") };
    one
}

/// One of each kind of header that is read.
pub(crate) const NAMES: [&str; 22] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-renewalperiod-requests",
    "x-ratelimit-limit-requests-hour",
    "x-ratelimit-remaining-req-10-second",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-reset",
    "x-ratelimit-requests",
    "x-ratelimit-limit",
    "x-ratelimit-reset",
    "ratelimit-remaining",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-tokens-reset",
    "x-tokenlimit-limit",
    "ratelimit",
    "ratelimit-policy",
    "anthropic-ratelimit-unified-reset",
    "retry-after",
    "retry-after-ms",
    "date",
];
