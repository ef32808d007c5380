//! `deploy/grafana.json`: a dashboard that Grafana can import, and whose expressions are right.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use tollgate_test_programs::needs;

use crate::{promtool, text_of};

fn dashboard() -> Value {
    serde_json::from_str(&text_of("grafana.json")).expect("JSON")
}

/// All expressions, as Grafana sends them to Prometheus.
pub(crate) fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let targets = list(&dashboard["panels"]).iter().filter_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| &target["expr"]);
    let annotations = list(&dashboard["annotations"]["list"]).iter().map(|one| &one["expr"]);
    let texts = expressions.chain(annotations).map(|text| text.as_str().expect("an expression"));
    let filled = texts.map(|text| {
        text.replace("$job", "tollgate")
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
    });
    filled.collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}

#[test]
fn every_expression_is_one_of_prometheus() {
    if !needs("grafana::every_expression_is_one_of_prometheus", &["promtool"]) {
        return;
    }
    let expressions = expressions();
    let mut rules = "groups:\n- name: grafana\n  rules:\n".to_owned();
    for (number, expression) in expressions.iter().enumerate() {
        assert!(!expression.contains('$'), "{expression} has an unknown variable");
        let expression = json!(expression);
        writeln!(rules, "  - record: panel:{number}\n    expr: {expression}").expect("written");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rules.yml");
    fs::write(&file, rules).expect("written");
    let checked = promtool(&["check", "rules"], &file);
    assert!(checked.contains(&format!("SUCCESS: {} rules found", expressions.len())), "{checked}");
}

/// What Grafana needs to show each panel, and at a place of its own.
#[test]
fn panels_are_complete_and_do_not_overlap() {
    let dashboard = dashboard();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 39));
    assert!(dashboard["id"].is_null(), "an id belongs to one Grafana");
    let variables: Vec<_> =
        list(&dashboard["templating"]["list"]).iter().map(|variable| &variable["name"]).collect();
    assert_eq!(variables, ["datasource", "job", "instance"]);
    let (mut ids, mut places, mut kinds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard["panels"]) {
        let title = panel["title"].as_str().expect("a title");
        let kind = panel["type"].as_str().expect("a type");
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{title}: its id is another's");
        let number = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        let (x, y) = (number("x"), number("y"));
        assert!(x + number("w") <= 24, "{title} is beyond the edge");
        for place in (x..x + number("w")).flat_map(|x| (y..y + number("h")).map(move |y| (x, y))) {
            assert!(places.insert(place), "{title} covers another panel");
        }
        kinds.insert(kind.to_owned());
        if matches!(kind, "row" | "text") {
            continue;
        }
        assert_eq!(panel["datasource"], json!({ "type": "prometheus", "uid": "${datasource}" }));
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title} has no unit");
        let targets = list(&panel["targets"]);
        assert!(!targets.is_empty(), "{title} shows nothing");
        let names: BTreeSet<_> = targets.iter().map(|target| target["refId"].as_str()).collect();
        assert_eq!(names.len(), targets.len(), "{title}: queries have the same name");
    }
    let known = ["bargauge", "row", "stat", "table", "text", "timeseries"];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), known);
}
