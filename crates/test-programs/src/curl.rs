//! curl as a client.

use crate::program::output;

/// A response as curl shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its fields in order, with names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The value of a field that the response has at most once.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an answer: {text:?}"));
        if (100..200).contains(&status) && body.starts_with("HTTP/") {
            // An interim answer, such as `100 Continue`, comes before the final one.
            return Self::parse(body);
        }
        let field = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, fields: lines.map(field).collect(), body: body.to_owned() }
    }
}

/// What `curl` with these arguments answers.
#[must_use]
pub fn curl(args: &[&str]) -> Answer {
    Answer::parse(&curl_text(&[&["--include"], args].concat()))
}

/// What `curl` with these arguments writes. No file of the user and no proxy takes part.
#[must_use]
pub fn curl_text(args: &[&str]) -> String {
    let ours = ["--disable", "--silent", "--show-error", "--noproxy", "*", "--max-time", "60"];
    output("curl", &[&ours, args].concat())
}
