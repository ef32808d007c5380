//! `/metrics` of a running service.

use std::fs;

use tollgate_test_programs::{needs, output};

use crate::service::Service;
use crate::{NO_STORE, POLICY, ask, names, text_of};

/// The names that the specification of the service promises.
const PROMISED: [&str; 12] = [
    "tollgate_requests_total",
    "tollgate_decisions_total",
    "tollgate_charge_returned_total",
    "tollgate_keys",
    "tollgate_keys_max",
    "tollgate_keys_full_total",
    "tollgate_decision_seconds",
    "tollgate_penalties_active",
    "tollgate_penalties_total",
    "tollgate_policy_reloads_total",
    "tollgate_policy_loaded_timestamp_seconds",
    "tollgate_policy_info",
];

#[test]
fn names_are_promised_explained_and_alike_everywhere() {
    if !needs("metrics::names_are_promised_explained_and_alike_everywhere", &["promtool", "curl"]) {
        return;
    }
    let service = Service::start(POLICY, NO_STORE);
    ask(&service);
    let answer = service.operator("/metrics");
    assert_eq!(answer.field("content-type"), Some("text/plain; version=0.0.4"));
    let metrics = answer.body;

    // Prometheus's tool has no complaint.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("metrics");
    fs::write(&file, &metrics).expect("written");
    let check = format!("promtool check metrics < '{}' 2>&1", file.display());
    assert_eq!(output("sh", &["-c", &check]), "");

    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types: Vec<_> = types.filter_map(|line| line.split_once(' ')).collect();
    for name in PROMISED {
        assert!(types.iter().any(|(known, _)| *known == name), "{name} is not there");
    }
    assert!(types.iter().all(|(_, kind)| *kind != "summary"), "instances can't be added up");
    let page = include_str!("../../docs/observability.md");
    for (name, kind) in &types {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}`")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the page"));
        assert!(row.contains(kind), "{name} is a {kind}: {row}");
    }

    let is_there = |name: &str| {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        types.iter().any(|(known, _)| *known == name)
    };
    for used in ["alerts.yml", "alerts_test.yml", "grafana.json"] {
        let text = text_of(used);
        for name in names(&text) {
            assert!(is_there(name), "{used}: nothing is called {name}");
        }
    }
    for name in names(page) {
        assert!(is_there(name), "the page: nothing is called {name}");
    }
}
