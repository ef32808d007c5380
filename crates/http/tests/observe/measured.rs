//! A recorder for one test, and what it has recorded.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// Runs `scene` with a recorder of its own.
pub(crate) fn with_recorder<T>(scene: impl FnOnce(&Snapshotter) -> T) -> T {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || scene(&snapshotter))
}

/// All series, as `name{label=value,…}` with the labels in alphabetical order, and their values. A
/// histogram's value is the number of its samples.
pub(crate) fn measured(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let series = snapshotter.snapshot().into_vec().into_iter();
    series.map(|(key, _, _, value)| (name_of(key.key()), number(value))).collect()
}

fn name_of(key: &::metrics::Key) -> String {
    let mut labels: Vec<String> =
        key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
    labels.sort();
    if labels.is_empty() {
        return key.name().to_owned();
    }
    format!("{}{{{}}}", key.name(), labels.join(","))
}

#[allow(clippy::cast_precision_loss, reason = "tests count to ten")]
fn number(value: DebugValue) -> f64 {
    match value {
        DebugValue::Counter(count) => count as f64,
        DebugValue::Gauge(value) => value.into_inner(),
        DebugValue::Histogram(samples) => samples.len() as f64,
    }
}
