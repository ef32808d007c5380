//! Requests that ask whether a limit is still closed.

use std::time::Duration;

use crate::Timestamp;

/// A learned limit over a period that is longer than the longest pause: no response must close an
/// account for so long. So one request may be sent each time that the longest pause has passed since
/// the last request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    every: Duration,
    next: Timestamp,
}

impl Probe {
    pub(super) fn new(every: Duration, now: Timestamp) -> Self {
        Self { every, next: now + every }
    }

    /// When the next request may be sent, although the limit is closed.
    pub(super) fn next(self) -> Timestamp {
        self.next
    }

    /// Notes that a request is sent.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.next = now + self.every;
    }
}
