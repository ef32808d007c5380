//! Bodies that providers have sent, as `tests/data/llm/` has them.

use serde_json::Value;

/// One recorded body.
pub(super) struct Recorded {
    pub(super) provider: String,
    pub(super) body: String,
    /// What is right, and what else is known of it.
    pub(super) fields: Value,
}

fn recorded(lines: &str) -> Vec<Recorded> {
    let rows = lines.lines().map(|line| {
        let fields: Value = serde_json::from_str(line).expect("JSON in each line");
        let text = |name: &str| fields[name].as_str().expect("a text").to_owned();
        Recorded { provider: text("provider"), body: text("body"), fields }
    });
    rows.collect()
}

/// Streams and answers with the usage that they report: `right`, or null if they report none.
pub(super) fn answers() -> Vec<Recorded> {
    recorded(include_str!("../data/llm/answers.jsonl"))
}

/// Errors with the `status` that they had, the one that they amount to (`right`), and the wait that
/// they ask for (`wait_ns`). Some are made, to be confusing: their `source` is `made`.
pub(super) fn errors() -> Vec<Recorded> {
    recorded(include_str!("../data/llm/errors.jsonl"))
}
