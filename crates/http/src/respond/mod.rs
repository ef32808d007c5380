//! What is told to the client: header fields, bodies, gRPC statuses.

use std::time::Duration;

/// One limit's state, as it is told to the client.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The texts that were built once per policy.
    pub texts: &'a LimitTexts,
    /// Whole permits left.
    pub remaining: u64,
    /// The time until the bucket is full; zero if it is.
    pub full_after: Duration,
    /// The time until the next permit; only asked for if none is left.
    pub next_after: Duration,
    /// Whether this limit refused, and the wait: `Some(None)` if no wait helps.
    pub refused: Option<Option<Duration>>,
}

/// The texts of a limit under a quota.
#[derive(Clone, Debug)]
pub struct LimitTexts {
    // For the helper that builds `respond/`.
}
