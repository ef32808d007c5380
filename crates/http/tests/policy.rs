//! Policies: read, checked, printed, built in code.

#[path = "policy/cases.rs"]
mod cases;

use serde_json::Value;

#[test]
fn the_cases_of_the_reference() {
    let text = include_str!("data/cases.json");
    let file: Value = serde_json::from_str(text).expect("the case file is JSON");
    let mut failures = Vec::new();
    let all = file["cases"].as_array().expect("a list of cases");
    let of_policies: Vec<&Value> = all.iter().filter(|case| case["kind"] == "config").collect();
    assert!(!of_policies.is_empty());
    for case in of_policies {
        if let Err(why) = cases::run(&case["input"], &case["expect"]) {
            failures.push(format!("{}: {why}", case["id"]));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
