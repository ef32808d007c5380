//! One key, as the engine knows it: a number, an account, and a status.

use std::time::Duration;

use crate::Timestamp;

/// A 429 that arrives later than this after the previous pause has ended starts a new overload: the
/// count of consecutive 429s starts over, even if no request succeeded in between.
const OVERLOAD_MEMORY: Duration = Duration::from_secs(60);

/// A key. The engine knows nothing of its id and secret; a limiter has just one key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The number of the key's account.
    pub(crate) account: usize,
    pub(super) status: KeyStatus,
    /// Consecutive 429s; those of one overload count once.
    pub(super) failures: u32,
    pub(super) in_flight: u64,
    /// The end of the pause that the server asked for.
    pub(crate) paused_until: Timestamp,
    /// When the last 429 was counted. Requests sent before then met the same overload.
    pub(super) refused_at: Option<Timestamp>,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStatus {
    Active,
    /// The server does not accept the key.
    Disabled,
    /// The key's number can be reused once none of its requests is in flight.
    Removed,
}

impl Key {
    pub(crate) fn new(account: usize) -> Self {
        Self {
            account,
            status: KeyStatus::Active,
            failures: 0,
            in_flight: 0,
            paused_until: Timestamp::ZERO,
            refused_at: None,
        }
    }

    /// Whether the key's number can be reused: the key is removed, and no permit refers to it.
    pub(super) fn is_free(&self) -> bool {
        self.status == KeyStatus::Removed && self.in_flight == 0
    }

    #[inline]
    pub(super) fn is_active(&self) -> bool {
        self.status == KeyStatus::Active
    }

    /// Whether the key is active and not paused.
    #[inline]
    pub(super) fn is_available(&self, now: Timestamp) -> bool {
        self.is_active() && self.paused_until <= now
    }

    /// Counts a 429 to a request that was sent at `sent`, and returns the number of consecutive
    /// 429s. The 429s of requests that were in flight together are one overload and count once.
    pub(super) fn count_refusal(&mut self, sent: Timestamp, now: Timestamp) -> u32 {
        if self.refused_at.is_some_and(|at| sent <= at) {
            return self.failures.max(1);
        }
        if now - self.paused_until > OVERLOAD_MEMORY {
            self.failures = 0;
        }
        self.refused_at = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}
