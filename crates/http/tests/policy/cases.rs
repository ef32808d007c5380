//! The cases of kind `config` of the case file.

use serde_json::Value;
use tollgate_http::policy::{Format, Place, Policy, Problem};

#[test]
fn all_cases_of_policies_hold() {
    let text = include_str!("../data/cases.json");
    let file: Value = serde_json::from_str(text).expect("the case file is JSON");
    let all = file["cases"].as_array().expect("a list of cases");
    let of_policies: Vec<&Value> = all.iter().filter(|case| case["kind"] == "config").collect();
    assert!(!of_policies.is_empty());
    let failures: Vec<String> = of_policies
        .iter()
        .filter_map(|case| {
            let why = run(&case["input"], &case["expect"]).err()?;
            Some(format!("{}: {why}", case["id"]))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Reads the policy of a case. The error says what the case expects and what was found.
pub(crate) fn run(input: &Value, expect: &Value) -> Result<(), String> {
    let format = match input["format"].as_str() {
        Some("toml") => Format::Toml,
        #[cfg(feature = "yaml")]
        Some("yaml") => Format::Yaml,
        #[cfg(feature = "json")]
        Some("json") => Format::Json,
        // The other formats are tested with their features.
        _ => return Ok(()),
    };
    let text = input["text"].as_str().ok_or("the case has no text")?;
    match (Policy::parse(format, text, "policy"), &expect["error"]) {
        (Ok(_), Value::Null) => Ok(()),
        (Ok(_), error) => Err(format!("it is a policy, but {error} is expected")),
        (Err(error), Value::Null) => Err(format!("it is no policy: {error}")),
        (Err(error), expected) => {
            let shown = error.to_string();
            for secret in texts(&expected["omits"]) {
                if shown.to_lowercase().contains(&secret.to_lowercase()) {
                    return Err(format!("{secret:?} is shown: {shown}"));
                }
            }
            if error.problems().iter().any(|problem| fits(problem, expected)) {
                Ok(())
            } else {
                Err(format!("expected {expected}, found {shown}"))
            }
        }
    }
}

/// Whether a problem has an expected line, the expected code, and all expected texts.
fn fits(problem: &Problem, expected: &Value) -> bool {
    let Place::Text { line, .. } = *problem.place() else { return false };
    let message = problem.message().to_lowercase();
    let lines = expected["lines"].as_array();
    lines.is_none_or(|lines| lines.iter().any(|wanted| *wanted == line))
        && expected["code"].as_str().is_none_or(|code| code == problem.code().as_str())
        && texts(&expected["contains"]).all(|text| message.contains(&text.to_lowercase()))
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}
