//! What a client has done so far: numbers to look at, and the hook of the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

#[cfg(feature = "metrics")]
use super::metrics::Metrics;
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
    /// Permits that were drawn ahead by [leases](crate::shared::Builder::lease).
    pub lease_drawn: u64,
    /// Permits of leases that were granted. Those that [`settle`](crate::shared::Limiter::settle)
    /// puts back into their lease can be granted, and are counted, once more.
    pub lease_used: u64,
    /// Permits of leases that went back to the store unused.
    pub lease_handed_back: u64,
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
    lease_drawn: AtomicU64,
    lease_used: AtomicU64,
    lease_handed_back: AtomicU64,
    outages: Mutex<Outages>,
    #[cfg(feature = "metrics")]
    metrics: Metrics,
}

/// A call that was counted.
#[derive(Debug)]
pub(super) struct Called {
    #[cfg(feature = "metrics")]
    at: Instant,
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
        #[cfg(feature = "metrics")]
        self.metrics.decided(source);
    }

    /// Counts a call of so many asks.
    pub(super) fn called(&self, asks: usize) -> Called {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.asks.fetch_add(asks as u64, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.metrics.called(asks);
        Called {
            #[cfg(feature = "metrics")]
            at: Instant::now(),
        }
    }

    /// Measures a call that is answered now.
    #[cfg_attr(
        not(feature = "metrics"),
        allow(clippy::unused_self, reason = "nothing is measured")
    )]
    pub(super) fn answered(&self, call: &Called) {
        #[cfg(not(feature = "metrics"))]
        let Called {} = call;
        #[cfg(feature = "metrics")]
        self.metrics.answered(call.at.elapsed());
    }

    /// Counts permits that were drawn ahead.
    pub(in crate::shared) fn drew_ahead(&self, permits: u64) {
        self.lease_drawn.fetch_add(permits, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.metrics.drew_ahead(permits);
    }

    /// Counts a decision by a lease, which granted so many permits.
    pub(in crate::shared) fn used_of_lease(&self, permits: u64) {
        self.decided(Source::Leased);
        self.lease_used.fetch_add(permits, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.metrics.used_of_lease(permits);
    }

    /// Counts permits of a lease that go back unused.
    pub(in crate::shared) fn handed_back(&self, permits: u64) {
        self.lease_handed_back.fetch_add(permits, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.metrics.handed_back(permits);
    }

    /// Notes that an outage of one client begins.
    pub(super) fn outage_begins(&self) {
        {
            let mut outages = self.outages.lock();
            outages.begun = outages.begun.wrapping_add(1);
            outages.present.push(Instant::now());
        }
        #[cfg(feature = "metrics")]
        self.metrics.outage_begins();
    }

    /// Notes that an outage of one client ends. Returns how long it has lasted, for
    /// [`outage_has_lasted`](Self::outage_has_lasted).
    pub(super) fn outage_ends(&self) -> Duration {
        let mut outages = self.outages.lock();
        let lasted = outages.present.pop().map_or(Duration::ZERO, |since| since.elapsed());
        outages.lasted = outages.lasted.saturating_add(lasted);
        lasted
    }

    /// Measures an outage that has ended. The program's recorder is called, so no lock may be held.
    #[cfg_attr(
        not(feature = "metrics"),
        allow(clippy::unused_self, reason = "nothing is measured")
    )]
    pub(super) fn outage_has_lasted(&self, time: Duration) {
        #[cfg(not(feature = "metrics"))]
        let _ = time;
        #[cfg(feature = "metrics")]
        self.metrics.outage_has_lasted(time);
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
            lease_drawn: of(&self.lease_drawn),
            lease_used: of(&self.lease_used),
            lease_handed_back: of(&self.lease_handed_back),
            outages: outages.begun,
            in_outage_for: present.fold(outages.lasted, Duration::saturating_add),
        }
    }
}
