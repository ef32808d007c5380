//! Kind `config`: which policies are accepted, and what is said of those that are not.

use serde_json::Value;
use tollgate_http::Policy;
use tollgate_http::policy::{Format, Place, PolicyError};

use crate::{Checked, word};

pub(crate) fn check(input: &Value, expect: &Value) -> Checked {
    let text = word(&input["text"]);
    let format = match word(&input["format"]) {
        "toml" => Format::Toml,
        #[cfg(feature = "yaml")]
        "yaml" => Format::Yaml,
        #[cfg(feature = "json")]
        "json" => Format::Json,
        format => return Err(format!("run the cases with the feature `{format}`")),
    };
    let parsed = Policy::parse(format, text, "policy");
    if expect["ok"] == true {
        return parsed.map(|_| ()).map_err(|error| format!("found {error}"));
    }
    let Err(error) = parsed else { return Err("the policy was accepted".to_owned()) };
    let omitted = expect["error"]["omits"].as_array().into_iter().flatten();
    for omitted in omitted.map(word) {
        if error.to_string().contains(omitted) || format!("{error:?}").contains(omitted) {
            return Err(format!("`{omitted}` must not be told: {error}"));
        }
    }
    if error_is_as_expected(&error, &expect["error"]) {
        return Ok(());
    }
    Err(format!("found {error}, expected {}", expect["error"]))
}

/// Whether one of the problems is the expected one.
fn error_is_as_expected(error: &PolicyError, expect: &Value) -> bool {
    error.problems().iter().any(|problem| {
        let message = problem.to_string().to_lowercase();
        let mut contained = expect["contains"].as_array().into_iter().flatten().map(word);
        let contains_all = contained.all(|text| message.contains(&text.to_lowercase()));
        let line = match problem.place() {
            Place::Text { line, .. } => Some(*line),
            Place::Code { .. } | Place::File { .. } => None,
        };
        let is_line = |lines: &Vec<Value>| {
            lines.iter().any(|expected| expected.as_u64() == line.map(u64::from))
        };
        let is_code = |code: &Value| code == problem.code().as_str();
        contains_all
            && expect["lines"].as_array().is_none_or(is_line)
            && expect.get("code").is_none_or(is_code)
    })
}
