//! What a client has done so far, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::shared::Source;
use crate::sync::Mutex;

/// What a [`Client`](super::Client) has done since it was built. Counts are modulo 2⁶⁴.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Decisions of the store.
    pub shared: u64,
    /// Decisions by permits that were drawn ahead.
    pub leased: u64,
    /// Refusals that were known from the store.
    pub cached: u64,
    /// Decisions of outages by the share of this process.
    pub local_share: u64,
    /// Decisions of outages by what the store had said last.
    pub last_known: u64,
    /// Decisions of outages in which everybody passes.
    pub open: u64,
    /// Decisions of outages in which everybody is refused.
    pub closed: u64,
    /// Calls to the store.
    pub calls: u64,
    /// Asks in these calls; `asks / calls` is the mean size of a batch.
    pub asks: u64,
    /// Outages that have begun.
    pub outages: u64,
    /// How long all outages have lasted.
    pub in_outage_for: Duration,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(in crate::shared) struct Counters {
    shared: AtomicU64,
    leased: AtomicU64,
    cached: AtomicU64,
    local_share: AtomicU64,
    last_known: AtomicU64,
    open: AtomicU64,
    closed: AtomicU64,
    calls: AtomicU64,
    asks: AtomicU64,
    outages: Mutex<Outages>,
}

#[derive(Debug, Default)]
struct Outages {
    begun: u64,
    /// How long those that have ended have lasted.
    lasted: Duration,
    /// When each that lasts has begun.
    present: Vec<Instant>,
}

impl Counters {
    /// Counts a decision.
    pub(in crate::shared) fn decided(&self, source: Source) {
        let counter = match source {
            Source::Shared => &self.shared,
            Source::Leased => &self.leased,
            Source::Cached => &self.cached,
            Source::LocalShare => &self.local_share,
            Source::LastKnown => &self.last_known,
            Source::Open => &self.open,
            Source::Closed => &self.closed,
            Source::Local => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call of so many asks.
    pub(super) fn called(&self, asks: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.asks.fetch_add(asks as u64, Ordering::Relaxed);
    }

    /// Notes that an outage of one client begins.
    pub(super) fn outage_begins(&self) {
        let mut outages = self.outages.lock();
        outages.begun = outages.begun.wrapping_add(1);
        outages.present.push(Instant::now());
    }

    /// Notes that an outage of one client ends.
    pub(super) fn outage_ends(&self) {
        let mut outages = self.outages.lock();
        if let Some(since) = outages.present.pop() {
            outages.lasted = outages.lasted.saturating_add(since.elapsed());
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let outages = self.outages.lock();
        let present = outages.present.iter().copied().map(|since| since.elapsed());
        Stats {
            shared: of(&self.shared),
            leased: of(&self.leased),
            cached: of(&self.cached),
            local_share: of(&self.local_share),
            last_known: of(&self.last_known),
            open: of(&self.open),
            closed: of(&self.closed),
            calls: of(&self.calls),
            asks: of(&self.asks),
            outages: outages.begun,
            in_outage_for: present.fold(outages.lasted, Duration::saturating_add),
        }
    }
}
