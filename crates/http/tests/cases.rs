//! Runs every case of a case file through the public API: the committed one, or the one that the
//! environment variable `TOLLGATE_CASES` names. Prints how many pass, and what differs.

#[path = "cases/address.rs"]
mod address;
#[path = "cases/config.rs"]
mod config;
#[path = "cases/fields.rs"]
mod fields;
#[cfg(feature = "grpc")]
#[path = "cases/grpc.rs"]
mod grpc;
#[path = "cases/request.rs"]
mod request;
#[path = "cases/route.rs"]
mod route;
#[path = "cases/sequence.rs"]
mod sequence;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

/// What a case found: nothing, or what differs.
type Checked = Result<(), String>;

/// The policies of a case file, by their names.
type Policies = BTreeMap<String, String>;

#[test]
fn every_case_of_the_case_file() {
    let path = std::env::var("TOLLGATE_CASES").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cases.json").to_owned()
    });
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(file["schema"], 1, "another schema");
    let policies = file["policies"].as_object().into_iter().flatten();
    let policies: Policies =
        policies.map(|(name, text)| (name.clone(), word(text).to_owned())).collect();
    let cases = file["cases"].as_array().expect("cases");
    let mut differing = Vec::new();
    for case in cases {
        let checked = catch_unwind(AssertUnwindSafe(|| check(case, &policies)));
        let checked = checked.unwrap_or_else(|_| Err("the check panicked".to_owned()));
        if let Err(difference) = checked {
            differing.push(format!("{}: {difference}\n    {}", case["id"], case["why"]));
        }
    }
    println!("{} of {} cases", cases.len() - differing.len(), cases.len());
    assert!(!cases.is_empty(), "{path} holds no case");
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

fn check(case: &Value, policies: &Policies) -> Checked {
    let (input, expect) = (&case["input"], &case["expect"]);
    let policy = || {
        let name = word(&case["policy"]);
        policies.get(name).ok_or_else(|| format!("there is no policy {name}"))
    };
    match word(&case["kind"]) {
        "address" => address::check(&case["config"], input, expect),
        "config" => config::check(input, expect),
        "route" => route::check(policy()?, input, expect),
        "fields" => fields::check(input, expect),
        "sequence" => sequence::check(policy()?, policies, input),
        #[cfg(feature = "grpc")]
        "grpc" => grpc::check(input, expect),
        #[cfg(not(feature = "grpc"))]
        "grpc" => Err("run the cases with the feature `grpc`".to_owned()),
        kind => Err(format!("the kind {kind} is not known")),
    }
}

/// A text of the case file.
fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Compares what was found with what is expected.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Checked {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {found:?}, expected {expected:?}"))
}
