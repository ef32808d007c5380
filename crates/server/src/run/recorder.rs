//! The recorder of the metrics.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tollgate_http::observe::DECISION_SECONDS_BUCKETS;

use crate::admin::POLICY_INFO;
use crate::net::Shutdown;

/// How often values of histograms are put into their buckets. Until then, they take memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process, which is made at the first call.
pub(super) fn install() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let make = || {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        // Another recorder is there if a program that embeds the service has one.
        let _ = metrics::set_global_recorder(Recorded(recorder));
        handle
    };
    RECORDER.get_or_init(make).clone()
}

/// The recorder, without the metric that tells the policy in force: its label is another one for
/// each policy, and a recorder keeps each line for ever.
struct Recorded(PrometheusRecorder);

impl Recorder for Recorded {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        if key.as_str() != POLICY_INFO {
            self.0.describe_gauge(key, unit, description);
        }
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.0.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        if key.name() == POLICY_INFO { Gauge::noop() } else { self.0.register_gauge(key, metadata) }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.0.register_histogram(key, metadata)
    }
}

/// Histograms with their buckets, in seconds or numbers. Without buckets, they would be summaries,
/// which can't be added up over several processes.
const BUCKETS: [(&str, &[f64]); 4] = [
    ("tollgate_decision_seconds", &DECISION_SECONDS_BUCKETS),
    (
        "tollgate_shared_call_seconds",
        &[0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
    ),
    ("tollgate_shared_call_asks", &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
    ("tollgate_shared_outage_seconds", &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0]),
];

fn builder() -> PrometheusBuilder {
    BUCKETS.iter().fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        // It only fails for an empty list of buckets.
        builder
            .set_buckets_for_metric(Matcher::Full((*name).into()), buckets)
            .unwrap_or_else(|_| PrometheusBuilder::new())
    })
}

/// Keeps the recorder's memory small until the service ends.
pub(super) async fn upkeep(handle: PrometheusHandle, shutdown: Shutdown) {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.begun() => return,
            _ = interval.tick() => handle.run_upkeep(),
        }
    }
}
