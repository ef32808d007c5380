//! The recorder of the metrics.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tollgate_http::observe::DECISION_SECONDS_BUCKETS;

use crate::net::Shutdown;

/// How often values of histograms are put into their buckets. Until then, they take memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of this process, which is made at the first call.
pub(super) fn install() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let make = || {
        let name = Matcher::Full("tollgate_decision_seconds".into());
        let builder = PrometheusBuilder::new();
        // It only fails for an empty list of buckets.
        let builder = builder
            .set_buckets_for_metric(name, &DECISION_SECONDS_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder is there if a program that embeds the service has one.
        let _ = metrics::set_global_recorder(recorder);
        handle
    };
    RECORDER.get_or_init(make).clone()
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
