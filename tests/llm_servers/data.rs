//! The recorded responses.

use serde_json::Value;

/// A recorded response.
pub(crate) struct Recorded {
    pub(crate) provider: String,
    pub(crate) source: String,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
}

impl Recorded {
    /// The value of a header; `None` if there is no such header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

/// All responses of test recordings: those of the trial and those that were found later.
pub(crate) fn all() -> Vec<Recorded> {
    let lines = |text: &'static str| text.lines().map(|line| serde_json::from_str(line).unwrap());
    let first: Vec<Value> = lines(include_str!("../data/recorded_headers.jsonl")).collect();
    let later: Vec<Value> = lines(include_str!("../data/provider_responses.jsonl")).collect();
    let recorded = |it: &&Value| it["evidence"] == "recorded";
    let first = first.iter().map(|it| response(it, &it["host"], &it["file"]));
    let later = later.iter().filter(recorded);
    let all: Vec<_> =
        first.chain(later.map(|it| response(it, &it["provider"], &it["source"]))).collect();
    assert!(all.len() > 200, "{}", all.len());
    all
}

fn response(line: &Value, provider: &Value, source: &Value) -> Recorded {
    Recorded {
        provider: provider.as_str().unwrap().to_owned(),
        source: source.as_str().unwrap().to_owned(),
        status: u16::try_from(line["status"].as_u64().unwrap()).unwrap(),
        headers: pairs(&line["headers"]),
    }
}

/// A list of pairs of names and values.
pub(crate) fn pairs(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}
