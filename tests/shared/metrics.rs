//! What a client tells a recorder.
#![allow(clippy::float_cmp, reason = "counts are whole numbers, and paused time is exact")]

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tollgate::Quota;
use tollgate::shared::store::StoreError;
use tollgate::shared::{Limiter, Outage};

use crate::unruly_store::{Manner, Unruly};

const MS: Duration = Duration::from_millis(1);

/// Runs `scene` on paused time with a recorder of its own. Returns all series, as `name` or
/// `name{label}`, and the samples of each. A counter and a gauge have one.
fn measured(scene: impl Future<Output = ()>) -> BTreeMap<String, Vec<f64>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(scene));
    let series = snapshotter.snapshot().into_vec().into_iter();
    let name_of = |key: &metrics::Key| match key.labels().next() {
        Some(label) => format!("{}{{{}}}", key.name(), label.value()),
        None => key.name().to_owned(),
    };
    series.map(|(key, _, _, value)| (name_of(key.key()), samples(value))).collect()
}

#[allow(clippy::cast_precision_loss, reason = "tests count to a thousand")]
fn samples(value: DebugValue) -> Vec<f64> {
    match value {
        DebugValue::Counter(count) => vec![count as f64],
        DebugValue::Gauge(value) => vec![value.into_inner()],
        DebugValue::Histogram(samples) => samples.into_iter().map(f64::from).collect(),
    }
}

#[test]
fn decisions_calls_and_outages_are_measured() {
    let measured = measured(async {
        let store = Unruly::slow(2 * MS);
        let builder = Limiter::<str>::builder("api", Quota::per_hour(3)).store(store.clone());
        let limiter = builder.on_outage(Outage::Open).build().unwrap();
        // Three are granted, one is refused by the store, and two without it.
        for _ in 0..6 {
            limiter.allow("alice").await.unwrap();
        }
        store.set(Manner::Fails(StoreError::Unreachable("down".into())));
        for _ in 0..5 {
            assert_eq!(limiter.allow("bob").await, Ok(true));
        }
        tokio::time::sleep(350 * MS).await;
        store.set(Manner::Answers(MS));
        tokio::time::sleep(100 * MS).await;
        assert_eq!(limiter.allow("bob").await, Ok(true));
    });
    let number = |name: &str| match &measured[&format!("tollgate_shared_{name}")][..] {
        [number] => *number,
        samples => panic!("{name}: {samples:?}"),
    };
    let decisions = ["shared", "cached", "open", "leased", "closed", "local_share", "last_known"]
        .map(|source| number(&format!("decisions_total{{{source}}}")));
    assert_eq!(decisions, [5.0, 2.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
    // The fifth call fails at once, and the one after the outage takes a millisecond.
    assert_eq!(number("calls_total"), 6.0);
    assert_eq!(measured["tollgate_shared_call_asks"], [1.0; 6]);
    let seconds = &measured["tollgate_shared_call_seconds"];
    assert_eq!(*seconds, [0.002, 0.002, 0.002, 0.002, 0.0, 0.001]);
    assert_eq!((number("outages_total"), number("outages_present")), (1.0, 0.0));
    let lasted = number("outage_seconds");
    assert!((0.35..=0.45).contains(&lasted), "{lasted}");
    assert_eq!(measured.len(), 16, "{:?}", measured.keys());
}

#[test]
fn the_permits_of_leases_are_measured() {
    let mut stats = None;
    let measured = measured(async {
        let builder = Limiter::<str>::builder("api", Quota::per_day(10_000)).store(Unruly::new());
        let limiter = builder.lease(100 * MS).build().unwrap();
        for _ in 0..15 {
            assert_eq!(limiter.allow("alice").await, Ok(true));
        }
        tokio::time::sleep(200 * MS).await;
        stats = Some(limiter.stats());
    });
    let number = |name: &str| measured[&format!("tollgate_shared_{name}")][0];
    let drawn = number("lease_permits_drawn_total");
    let (used, back) =
        (number("lease_permits_used_total"), number("lease_permits_handed_back_total"));
    assert!(used > 0.0 && back > 0.0, "{used} {back}");
    assert_eq!(drawn, used + back);
    let stats = stats.unwrap();
    let of_stats = [stats.lease_drawn, stats.lease_used, stats.lease_handed_back];
    assert_eq!(of_stats.map(|it| f64::from(u32::try_from(it).unwrap())), [drawn, used, back]);
    assert_eq!(used, number("decisions_total{leased}"));
    assert_eq!(number("decisions_total{leased}") + number("decisions_total{shared}"), 15.0);
}
