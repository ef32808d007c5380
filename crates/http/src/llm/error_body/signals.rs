//! Everything that the body of an error says.

use std::time::Duration;

use serde_json::{Map, Value};
use tollgate::llm::wait_in_text;

use super::codes::{self, Code};
use super::phrases::{self, Phrase};

/// What was read from a body.
#[derive(Debug, Default)]
pub(super) struct Signals {
    codes: Vec<Code>,
    /// Statuses as numbers.
    numbers: Vec<u16>,
    phrases: Vec<Phrase>,
    /// See [`phrases::is_about_a_rate`].
    is_about_a_rate: bool,
    wait: Option<Duration>,
}

/// The objects and arrays inside of which servers say what the error is. Others may repeat what a
/// client has sent.
const INSIDE: [&str; 14] = [
    "error",
    "errors",
    "detail",
    "details",
    "metadata",
    "response",
    "status_details",
    "data",
    "body",
    "innererror",
    "inner_error",
    "previous_errors",
    "cause",
    "headers",
];

/// Messages that are JSON themselves are read up to this many times, one in the other.
const MOST_NESTED: u8 = 3;

/// More signals than any provider sends.
const MOST_SIGNALS: usize = 64;

impl Signals {
    /// Reads a body: JSON, or else text.
    pub(super) fn read(body: &[u8]) -> Self {
        let mut signals = Self::default();
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => signals.value(&value, MOST_NESTED),
            Err(_) => signals.text(&String::from_utf8_lossy(body), false),
        }
        signals
    }

    /// How long to wait; the longest wait that was said.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// The status that the error amounts to, with the answer's own if that is an error.
    pub(super) fn meaning(&self, status: Option<u16>) -> Option<u16> {
        let certain = self.codes.iter().filter_map(|code| match code {
            Code::Certain(402) if self.is_about_a_rate => Some(429),
            Code::Certain(status) => Some(*status),
            Code::Vague(_) => None,
        });
        let certain = codes::most_telling(certain);
        let is_about_the_request = matches!(certain, Some(400 | 403 | 404 | 413));
        if !is_about_the_request && status != Some(404) {
            if self.phrases.contains(&Phrase::Spent) {
                return Some(402);
            }
            if self.phrases.contains(&Phrase::TooLarge) {
                return Some(413);
            }
        }
        certain.or_else(|| self.likely(status)).or_else(|| self.numbers.first().copied()).or_else(
            || {
                let vague = self.codes.iter().find_map(|code| match code {
                    Code::Vague(status) => Some(*status),
                    Code::Certain(_) => None,
                });
                status.or(vague)
            },
        )
    }

    /// What the messages say, if it fits to the status.
    fn likely(&self, status: Option<u16>) -> Option<u16> {
        let said = self.phrases.iter().find_map(|phrase| match phrase {
            Phrase::Likely(status) => Some(*status),
            Phrase::Spent | Phrase::TooLarge => None,
        })?;
        // A wait means that a limit was reached, whatever the message says of a quota.
        let said = match said {
            402 if self.is_about_a_rate || self.wait.is_some() => 429,
            said => said,
        };
        #[expect(clippy::match_same_arms, reason = "they have different reasons")]
        match (said, status) {
            // The status says that it is about the request.
            (_, Some(404 | 405 | 413 | 415 | 422)) => None,
            // A server that fails says nothing about keys, and an overload is an overload.
            (529 | 401, Some(500..)) => None,
            (said, _) => Some(said),
        }
    }

    fn value(&mut self, value: &Value, nested: u8) {
        match value {
            Value::Object(fields) => self.object(fields, nested),
            Value::Array(items) => items.iter().for_each(|item| self.value(item, nested)),
            Value::String(text) => self.message(text, nested),
            _ => {}
        }
    }

    fn object(&mut self, fields: &Map<String, Value>, nested: u8) {
        for (name, value) in fields {
            match (name.as_str(), value) {
                (
                    "type" | "code" | "status" | "reason" | "error_type" | "error_code" | "__type"
                    | "statusCode" | "status_code" | "raw_status_code" | "http_status",
                    Value::String(_) | Value::Number(_),
                ) => self.code(value),
                (
                    "message" | "msg" | "error" | "detail" | "details" | "raw" | "error_message"
                    | "error_msg" | "title" | "errors",
                    Value::String(text),
                ) => self.message(text, nested),
                (name, value) if self.reads_wait(name, value) => {}
                (name, Value::Object(_) | Value::Array(_)) if INSIDE.contains(&name) => {
                    self.value(value, nested);
                }
                _ => {}
            }
        }
    }

    /// A field that says what the error is: as a word, or as a status.
    fn code(&mut self, value: &Value) {
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.len() == 3 => text.parse().ok(),
            Value::String(text) => {
                if let Some(code) = codes::meaning(text).filter(|_| self.codes.len() < MOST_SIGNALS)
                {
                    self.codes.push(code);
                }
                None
            }
            _ => None,
        };
        let status = number.and_then(|number| u16::try_from(number).ok());
        if let Some(status) = status.filter(|status| (400..600).contains(status)) {
            if self.numbers.len() < MOST_SIGNALS {
                self.numbers.push(status);
            }
        } else if let Some(number) = number {
            // Mistral's and Zhipu's codes are numbers, in quotes or not.
            let known = codes::meaning(&number.to_string());
            self.codes.extend(known.filter(|_| self.codes.len() < MOST_SIGNALS));
        }
    }

    /// A message, which may be the JSON of another server's error.
    fn message(&mut self, text: &str, nested: u8) {
        let is_json = nested > 0 && text.trim_start().starts_with(['{', '[']);
        if is_json && let Ok(value) = serde_json::from_str::<Value>(text) {
            return self.value(&value, nested - 1);
        }
        self.text(text, true);
    }

    fn text(&mut self, text: &str, is_message: bool) {
        if self.phrases.len() < MOST_SIGNALS {
            self.phrases.extend(phrases::meaning(text, is_message));
            self.is_about_a_rate |= phrases::is_about_a_rate(text);
            self.waits(wait_in_text(text));
        }
    }

    fn waits(&mut self, wait: Option<Duration>) {
        self.wait = self.wait.max(wait.filter(|wait| !wait.is_zero()));
    }

    /// Reads a field whose name says that it is a wait; returns whether it is one.
    fn reads_wait(&mut self, name: &str, value: &Value) -> bool {
        let unit = match name {
            "retryDelay"
            | "retry_delay"
            | "quotaResetDelay"
            | "retry_after"
            | "retryAfter"
            | "retry-after"
            | "Retry-After"
            | "retry_after_seconds"
            | "retry_after_secs"
            | "retryAfterSeconds"
            | "reset_after"
            | "resets_in_seconds"
            | "estimated_time" => 1.0,
            "retry_after_ms" | "retryAfterMs" | "retry-after-ms" => 1e-3,
            _ => return false,
        };
        let seconds = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => {
                // A duration with its unit, or a number in quotes.
                self.waits(wait_in_text(&format!("retry in {text}")));
                text.trim().parse().ok()
            }
            // The form of a protobuf duration.
            Value::Object(fields) => fields.get("seconds").and_then(|seconds| match seconds {
                Value::String(text) => text.parse().ok(),
                seconds => seconds.as_f64(),
            }),
            _ => None,
        };
        // A number this large is a time of day.
        let seconds = seconds.map(|seconds| seconds * unit).filter(|seconds| *seconds < 1e9);
        self.waits(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()));
        true
    }
}
