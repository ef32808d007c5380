//! Metrics cost no allocation, whatever is decided. (In a file of its own: its allocator counts.)

#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "support/scene.rs"]
mod scene;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, NoopRecorder, Recorder,
    SharedString, Unit,
};
use scene::{decide, facts, limiter, policy};
use tollgate_http::HttpLimiter;

/// Counts into numbers, as exporters do, and without allocations of its own.
struct Numbers;

struct Sum(AtomicU64);

impl HistogramFn for Sum {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(AtomicU64::new(0)))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(AtomicU64::new(0)))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Sum(AtomicU64::new(0))))
    }
}

const POLICY: &str = r#"
    always = ["site"]
    [limits.site]
    quota = "5/h"
    [limits.calls]
    quota = "2/h"
    key = "caller"
    [limits.trial]
    quota = "1/h"
    key = "address"
    mode = "shadow"
    [[routes]]
    path = "/items"
    limits = ["calls", "trial"]
    [[routes]]
    path = "/free"
    limits = ["calls"]
    charge = [401]
"#;

/// The allocations of each decision of a scripted run.
fn allocations(limiter: &HttpLimiter) -> Vec<u64> {
    let user: Arc<str> = "alice".into();
    let paths = ["/items", "/items", "/items", "/elsewhere", "/elsewhere", "/elsewhere", "/free"];
    // The second round is measured: the first has made what is made once.
    let round = |user: &Arc<str>| -> Vec<u64> {
        paths
            .iter()
            .map(|path| {
                let facts = facts(path).user(Arc::clone(user));
                let measured = allocation_counter::measure(|| {
                    let mut decision = decide(limiter, &facts);
                    limiter.answered(&mut decision, 200);
                });
                measured.count_total
            })
            .collect()
    };
    round(&user);
    round(&user)
}

#[test]
fn metrics_cost_no_allocation() {
    let policy = policy(POLICY);
    let with = metrics::with_local_recorder(&Numbers, || limiter(&policy).0);
    let without = metrics::with_local_recorder(&NoopRecorder, || limiter(&policy).0);
    assert_eq!(allocations(&with), allocations(&without));
}

#[test]
fn a_decision_with_metrics_makes_no_allocation_at_all() {
    let policy = policy(&POLICY.replace("5/h", "1000/h").replace("2/h", "1000/h"));
    let limiter = metrics::with_local_recorder(&Numbers, || limiter(&policy).0);
    assert_eq!(allocations(&limiter), [0; 7]);
}
