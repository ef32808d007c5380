//! What providers say of their limits in headers, and what nobody should say.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/looser.rs"]
mod looser;
#[path = "support/recorder.rs"]
mod recorder;

mod llm_headers {
    mod properties;
    mod recorded;
    mod rules;
}

use std::time::{Duration, SystemTime};

use tollgate::llm::{Bound, ServerLimit, ServerLimits};

/// Thu, 21 Aug 2025 12:41:00 GMT.
pub(crate) const NOW: u64 = 1_755_780_060;

pub(crate) fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

pub(crate) fn read(headers: &[(&str, &str)]) -> ServerLimits {
    ServerLimits::from_headers(headers.iter().copied(), at(NOW))
}

pub(crate) fn limit(limit: u64, remaining: u64, reset_millis: u64) -> ServerLimit {
    let mut all = remaining_only(remaining);
    all.limit = Some(Bound::Of(limit));
    all.reset_after = Some(Duration::from_millis(reset_millis));
    all
}

pub(crate) fn remaining_only(remaining: u64) -> ServerLimit {
    let mut all = ServerLimit::default();
    all.remaining = Some(remaining);
    all
}

pub(crate) fn saying(edit: impl FnOnce(&mut ServerLimits)) -> ServerLimits {
    let mut expected = ServerLimits::default();
    edit(&mut expected);
    expected
}

/// One of each kind of header that is read.
pub(crate) const NAMES: [&str; 14] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-renewalperiod-requests",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-requests-reset",
    "x-ratelimit-limit",
    "x-ratelimit-reset",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "anthropic-ratelimit-tokens-reset",
    "retry-after",
    "retry-after-ms",
    "date",
];
