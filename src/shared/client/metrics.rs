//! Counters, gauges and histograms, through the facade of the crate `metrics`. The documentation of
//! the module `shared` lists them.

use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, Unit};
use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::shared::Source;

/// The handles that clients use without looking up names.
pub(super) struct Metrics {
    /// By the index of the source in [`SOURCES`].
    decisions: [Counter; SOURCES.len()],
    calls: Counter,
    call_asks: Histogram,
    call_seconds: Histogram,
    outages: Counter,
    outages_present: Gauge,
    outage_seconds: Histogram,
    drawn: Counter,
    used: Counter,
    handed_back: Counter,
}

/// All sources of decisions that are counted.
const SOURCES: [Source; 7] = [
    Source::Shared,
    Source::Leased,
    Source::Cached,
    Source::LocalShare,
    Source::LastKnown,
    Source::Open,
    Source::Closed,
];

impl Default for Metrics {
    /// Gets the handles from the recorder of the program.
    fn default() -> Self {
        describe();
        let decisions = |source: Source| counter!("tollgate_shared_decisions_total", "source" => source.as_str());
        Self {
            decisions: SOURCES.map(decisions),
            calls: counter!("tollgate_shared_calls_total"),
            call_asks: histogram!("tollgate_shared_call_asks"),
            call_seconds: histogram!("tollgate_shared_call_seconds"),
            outages: counter!("tollgate_shared_outages_total"),
            outages_present: gauge!("tollgate_shared_outages_present"),
            outage_seconds: histogram!("tollgate_shared_outage_seconds"),
            drawn: counter!("tollgate_shared_lease_permits_drawn_total"),
            used: counter!("tollgate_shared_lease_permits_used_total"),
            handed_back: counter!("tollgate_shared_lease_permits_handed_back_total"),
        }
    }
}

impl Metrics {
    #[inline]
    pub(super) fn decided(&self, source: Source) {
        let index = SOURCES.iter().position(|it| *it == source);
        if let Some(decisions) = index.and_then(|index| self.decisions.get(index)) {
            decisions.increment(1);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "histograms are of floating point numbers")]
    pub(super) fn called(&self, asks: usize) {
        self.calls.increment(1);
        self.call_asks.record(asks as f64);
    }

    pub(super) fn answered(&self, after: Duration) {
        self.call_seconds.record(after.as_secs_f64());
    }

    pub(super) fn outage_begins(&self) {
        self.outages.increment(1);
        self.outages_present.increment(1.0);
    }

    pub(super) fn outage_has_lasted(&self, time: Duration) {
        self.outages_present.decrement(1.0);
        self.outage_seconds.record(time.as_secs_f64());
    }

    pub(super) fn drew_ahead(&self, permits: u64) {
        self.drawn.increment(permits);
    }

    #[inline]
    pub(super) fn used_of_lease(&self, permits: u64) {
        self.used.increment(permits);
    }

    pub(super) fn handed_back(&self, permits: u64) {
        self.handed_back.increment(permits);
    }
}

/// Tells the recorder what the metrics are.
fn describe() {
    describe_counter!("tollgate_shared_decisions_total", "Decisions by who made them");
    describe_counter!("tollgate_shared_calls_total", "Calls to the store");
    describe_histogram!("tollgate_shared_call_asks", Unit::Count, "Asks in a call");
    describe_histogram!("tollgate_shared_call_seconds", Unit::Seconds, "The time of a call");
    describe_counter!("tollgate_shared_outages_total", "Outages of the store that have begun");
    describe_gauge!("tollgate_shared_outages_present", "Outages of the store that last");
    describe_histogram!(
        "tollgate_shared_outage_seconds",
        Unit::Seconds,
        "The time of an outage that has ended"
    );
    describe_counter!("tollgate_shared_lease_permits_drawn_total", "Permits drawn ahead");
    describe_counter!("tollgate_shared_lease_permits_used_total", "Permits granted by leases");
    describe_counter!(
        "tollgate_shared_lease_permits_handed_back_total",
        "Permits of leases that went back unused"
    );
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
