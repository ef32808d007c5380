//! `deploy/alerts.yml`: each alert fires when it should, and only then.

use tollgate_test_programs::needs;

use crate::{deployed, promtool, text_of};

#[test]
fn each_alert_fires_when_it_should() {
    if !needs("alerts::each_alert_fires_when_it_should", &["promtool"]) {
        return;
    }
    let rules = promtool(&["check", "rules"], &deployed("alerts.yml"));
    let alerts = text_of("alerts.yml").matches("- alert: ").count();
    assert!(rules.contains(&format!("SUCCESS: {alerts} rules found")), "{rules}");
    let tested = promtool(&["test", "rules"], &deployed("alerts_test.yml"));
    assert!(tested.contains("SUCCESS"), "{tested}");
}

#[test]
fn each_alert_is_explained_and_has_cases_of_both_kinds() {
    let (alerts, tests) = (text_of("alerts.yml"), text_of("alerts_test.yml"));
    let page = include_str!("../../docs/observability.md");
    let mut count = 0;
    for alert in alerts.split("- alert: ").skip(1) {
        let name = alert.lines().next().expect("a name");
        for field in ["severity: ", "summary: ", "description: ", "runbook: "] {
            assert_eq!(alert.matches(field).count(), 1, "{name}: {field}");
        }
        assert!(alert.contains("\n        for: "), "{name} fires at a moment's notice");
        assert!(tests.contains(&format!("- name: \"{name}: ")), "{name} has no case that fires");
        let silent = format!("- name: \"{name} does not fire: ");
        assert!(tests.contains(&silent), "{name} has no case that does not fire");
        assert!(page.contains(&format!("`{name}`")), "{name} is not in the page");
        count += 1;
    }
    assert_eq!(count, 11);
}
