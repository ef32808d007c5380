//! Metrics, alerts and the dashboard of Grafana, with Prometheus and its tool.

mod alerts;
mod grafana;
mod metrics;
mod prometheus;
#[path = "../support/service.rs"]
mod service;

use std::fs;
use std::path::{Path, PathBuf};

use service::Service;
use tollgate_test_programs::output;

/// A limit that refuses, one in shadow mode, and penalties.
pub(crate) const POLICY: &str = "
    always = ['calls', 'trial']
    [limits.calls]
    quota = '3/day'
    key = 'caller'
    [limits.trial]
    quota = '1/day'
    key = 'caller'
    mode = 'shadow'
    [[routes]]
    name = 'items'
    path = '/items'
    [penalty]
    key = 'caller'
    after = '2/h'
    block = '10min'
";

/// A store that does not answer: nobody listens there. Limits are then those of the process.
pub(crate) const NO_STORE: &str = "store = 'redis://127.0.0.1:1'
[server.shared]
on_outage = '1/1'
";

/// Makes requests, some of which are refused.
pub(crate) fn ask(service: &Service) {
    for _ in 0..7 {
        let check = r#"{"method": "GET", "path": "/items", "address": "203.0.113.7"}"#;
        let status = service.check(check).status;
        assert!(matches!(status, 200 | 429), "{status}");
    }
}

/// A file of the repository's folder `deploy`.
pub(crate) fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

pub(crate) fn text_of(name: &str) -> String {
    fs::read_to_string(deployed(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What Prometheus's tool says of a file.
pub(crate) fn promtool(what: &[&str], file: &Path) -> String {
    output("promtool", &[what, &[file.to_str().expect("a path in UTF-8")]].concat())
}

/// The names of our metrics in a text.
pub(crate) fn names(text: &str) -> std::collections::BTreeSet<&str> {
    let is_name = |character: char| character.is_ascii_lowercase() || character == '_';
    let words = text.split(|character: char| !is_name(character));
    words.filter(|word| word.starts_with("tollgate_") && !word.ends_with('_')).collect()
}
