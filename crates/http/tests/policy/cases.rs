//! Runs the cases of kind `config` of the case file.

use serde_json::Value;
use tollgate_http::policy::{Format, Place, Policy, Problem};

/// Reads the policy of a case. The error says what the case expects and what was found.
pub(crate) fn run(input: &Value, expect: &Value) -> Result<(), String> {
    let format = match input["format"].as_str() {
        Some("toml") => Format::Toml,
        #[cfg(feature = "yaml")]
        Some("yaml") => Format::Yaml,
        #[cfg(feature = "json")]
        Some("json") => Format::Json,
        other => return Err(format!("the format {other:?} is not in this build")),
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
