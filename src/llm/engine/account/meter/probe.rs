//! Requests that ask whether a limit is still closed.

use std::time::Duration;

use crate::Timestamp;

/// After how long a closed limit lets one request pass all the same, so that its answer can show
/// whether the limit is what it seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Probing {
    /// After the server's last statement about the limit.
    pub(crate) after_statement: Duration,
    /// After the last request.
    pub(crate) after_request: Duration,
}

impl Probing {
    /// A limit that is not in doubt.
    pub(crate) const NEVER: Self =
        Self { after_statement: Duration::MAX, after_request: Duration::MAX };
}

/// The probing of a limit whose period is longer than the time after which it is probed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) probing: Probing,
    next: Timestamp,
}

impl Probe {
    pub(super) fn new(probing: Probing, now: Timestamp) -> Self {
        Self { probing, next: now + probing.after_statement }
    }

    /// When the next request may be sent, although the limit is closed.
    pub(super) fn next(self) -> Timestamp {
        self.next
    }

    /// Notes that a request is sent.
    pub(super) fn sent(&mut self, now: Timestamp) {
        self.next = now + self.probing.after_request;
    }

    /// Notes that the server has said what remains.
    pub(super) fn heard(&mut self, now: Timestamp) {
        self.next = now + self.probing.after_statement;
    }
}
