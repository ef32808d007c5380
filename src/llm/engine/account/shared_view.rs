//! What processes that share an account tell each other of it.

use std::time::Duration;

use smallvec::SmallVec;

use super::Account;
use super::meter::Meter;
use crate::Timestamp;
use crate::llm::{Burst, LimitKind};

/// An account as it is now.
#[derive(Clone, Debug)]
pub(crate) struct AccountView {
    pub(crate) meters: SmallVec<[MeterView; 4]>,
    /// The rest of the pause that a response has caused.
    pub(crate) paused_for: Duration,
    /// Whether the limits were configured to count strictly.
    pub(crate) is_strict: bool,
    pub(crate) max_concurrent: Option<u64>,
}

/// A limit that counts over a period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeterView {
    pub(crate) kind: LimitKind,
    pub(crate) per_period: u64,
    pub(crate) burst: u64,
    /// What is in use as far as this process knows, by whomever.
    pub(crate) used: u64,
}

impl Account {
    pub(crate) fn shared_view(&self, now: Timestamp) -> AccountView {
        let is_strict = self.limits.burst_mode() == Burst::Strict;
        AccountView {
            meters: self.meters.iter().map(|meter| meter.shared_view(now, is_strict)).collect(),
            paused_for: self.health.paused_until() - now,
            is_strict,
            max_concurrent: self.limits.concurrency(),
        }
    }
}

impl Meter {
    fn shared_view(&self, now: Timestamp, is_configured_strict: bool) -> MeterView {
        let burst = self.burst();
        // A limit that only seems to count strictly counts what refill has brought back. The store
        // knows better, but for what the server says is left of a window.
        let used = match self.window(now) {
            Some(window) => burst.saturating_sub(window.left),
            None if self.is_strict() && !is_configured_strict => 0,
            None => self.used(now),
        };
        MeterView { kind: self.kind, per_period: self.per_period(), burst, used }
    }
}
