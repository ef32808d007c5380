//! What is counted of descriptors.

#![cfg(feature = "metrics")]

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tollgate_http::engine::Descriptor;

use crate::decide;
use crate::scene::{limiter, policy};
use crate::together::{ALL, BLOCKED, ONE, POLICY};

#[test]
fn descriptors_are_counted_by_what_was_found_for_them() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    ::metrics::with_local_recorder(&recorder, || {
        let rules = "[[descriptors]]\ndomain = 'edge'\nentries = ['free']\n[[descriptors]]\n\
                     domain = 'edge'\nentries = ['request']\nas_request = true";
        let (limiter, _) = limiter(&policy(&format!("{POLICY}{rules}")));
        // The fourth is over the limit of its address.
        for _ in 0..4 {
            decide(&limiter, &[(ALL, 1), (ONE, 1)]);
        }
        decide(&limiter, &[(BLOCKED, 1), (&[("free", "x")], 1), (&[("no", "x")], 1)]);
        decide(&limiter, &[(&[("request", "x")], 1)]);
        for domain in ["a", "b", "c"] {
            let descriptors = [Descriptor::new(ONE)];
            let decided = limiter.decide_descriptors(domain, &descriptors).now();
            assert!(decided.expect("memory").is_allowed());
        }
    });
    let mut measured = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: Vec<String> =
            key.key().labels().map(|label| label.value().to_owned()).collect();
        if let DebugValue::Counter(count @ 1..) = value {
            measured.insert(format!("{} {}", key.key().name(), labels.join(" ")), count);
        }
    }
    let expected = [
        ("tollgate_decisions_total per_client allowed", 3),
        ("tollgate_decisions_total per_client refused", 1),
        ("tollgate_decisions_total site allowed", 4),
        ("tollgate_decisions_total trial allowed", 1),
        ("tollgate_decisions_total trial would_refuse", 2),
        ("tollgate_descriptors_total allowed", 3 + 4),
        ("tollgate_descriptors_total as_request", 1),
        ("tollgate_descriptors_total no_rule", 1),
        ("tollgate_descriptors_total over_limit", 2),
        ("tollgate_descriptors_total unknown_domain", 3),
        ("tollgate_descriptors_total unlimited", 1),
        ("tollgate_requests_total none allowed", 1),
    ];
    let expected: BTreeMap<String, u64> =
        expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(measured, expected);
}
