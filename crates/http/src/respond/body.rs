//! The body of a refusal: a problem document (RFC 9457), plain JSON or plain text.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use smallvec::{SmallVec, smallvec};

use super::{JsonText, Reason, Refusal, Wait};
use crate::policy::BodyForm;

/// Where the IETF's draft on `RateLimit` registers its types of problems (section 5 of draft 11).
const PROBLEM_TYPES: &str = "https://iana.org/assignments/http-problem-types#";

/// As long as most bodies are at most.
const USUAL_LENGTH: usize = 320;

impl Refusal<'_> {
    /// The content type and the text of the body; `None` for [`BodyForm::None`].
    ///
    /// * `problem`: `type`, `title`, `status`, `detail`, and `violated-policies` if limits refused;
    /// * `json`: `error` (a code, such as `quota-exceeded`), `status`, `message`, `retry_after` in
    ///   seconds if there is a wait, and `limits` if limits refused;
    /// * `text`: the sentences that are `detail` and `message` in the other forms.
    ///
    /// ```
    /// use tollgate_http::policy::BodyForm;
    /// use tollgate_http::respond::Refusal;
    ///
    /// let (content_type, text) = Refusal::blocked().body(BodyForm::Text).expect("a body");
    /// assert_eq!(content_type, "text/plain; charset=utf-8");
    /// assert_eq!(text, "Access is blocked.\n");
    /// ```
    #[must_use]
    pub fn body(&self, form: BodyForm) -> Option<(HeaderValue, Bytes)> {
        let (content_type, text) = match form {
            BodyForm::Problem => ("application/problem+json", self.problem()),
            BodyForm::Json => ("application/json", self.json()),
            BodyForm::Text => ("text/plain; charset=utf-8", self.detail() + "\n"),
            BodyForm::None => return None,
        };
        Some((HeaderValue::from_static(content_type), Bytes::from(text)))
    }

    fn problem(&self) -> String {
        let mut json = JsonText::with_capacity(USUAL_LENGTH);
        json.raw("{\"type\":");
        if let Some(title) = self.registered_title() {
            json.string_of(&[PROBLEM_TYPES, self.code()]);
            json.raw(",\"title\":");
            json.string(title);
        } else {
            // Nothing more than what the status says (RFC 9457, section 4.2.1).
            json.raw("\"about:blank\",\"title\":");
            json.string(self.status().canonical_reason().unwrap_or("Error"));
        }
        json.raw(",\"status\":");
        json.number(self.status().as_u16().into());
        json.raw(",\"detail\":");
        self.with_detail(|parts| json.string_of(parts));
        self.push_violated(&mut json, ",\"violated-policies\":");
        json.raw("}");
        json.into_string()
    }

    fn json(&self) -> String {
        let mut json = JsonText::with_capacity(USUAL_LENGTH);
        json.raw("{\"error\":");
        json.string(self.code());
        json.raw(",\"status\":");
        json.number(self.status().as_u16().into());
        json.raw(",\"message\":");
        self.with_detail(|parts| json.string_of(parts));
        if let Some(seconds) = self.retry_after() {
            json.raw(",\"retry_after\":");
            json.number(seconds);
        }
        self.push_violated(&mut json, ",\"limits\":");
        json.raw("}");
        json.into_string()
    }

    /// Appends the list of the limits that refused, if any did.
    fn push_violated(&self, json: &mut JsonText, name: &'static str) {
        for (index, limit) in self.violated().iter().enumerate() {
            if index == 0 {
                json.raw(name);
            }
            json.raw(if index == 0 { "[" } else { "," });
            json.string(limit);
        }
        if !self.violated().is_empty() {
            json.raw("]");
        }
    }

    /// A word for programs. The first three are those of the registered problem types.
    fn code(&self) -> &'static str {
        match self.reason() {
            Reason::Limits if self.status() != StatusCode::SERVICE_UNAVAILABLE => "quota-exceeded",
            Reason::Limits | Reason::Full | Reason::Unavailable => "temporary-reduced-capacity",
            Reason::Penalty => "abnormal-usage-detected",
            Reason::Blocked => "blocked",
            Reason::MissingKey => "missing-key",
            Reason::AmbiguousPath => "ambiguous-path",
            Reason::NoPeer => "no-peer",
        }
    }

    /// The title under which the type of this problem is registered, if it is.
    fn registered_title(&self) -> Option<&'static str> {
        match self.code() {
            "quota-exceeded" => Some("Quota Exceeded"),
            "temporary-reduced-capacity" => Some("Temporary Reduced Capacity"),
            "abnormal-usage-detected" => Some("Abnormal Usage Detected"),
            _ => None,
        }
    }

    /// What happened, and what the client can do, in one or two sentences for people.
    pub(super) fn detail(&self) -> String {
        self.with_detail(|parts| parts.iter().copied().collect())
    }

    /// The same as the parts of which the text consists.
    fn with_detail<T>(&self, then: impl FnOnce(&[&str]) -> T) -> T {
        let what = match (self.reason(), self.wait()) {
            (Reason::Limits, Wait::Never) => "The request costs more than a rate limit ever allows",
            (Reason::Limits, _) => "The request exceeds a rate limit",
            (Reason::Full, _) => "A rate limit has no room for another client at the moment",
            (Reason::Penalty, _) => "Too many requests were sent in spite of refusals",
            (Reason::Blocked, _) => "Access is blocked",
            (Reason::MissingKey, _) => "The request lacks what a rate limit identifies clients by",
            (Reason::AmbiguousPath, _) => {
                "The segments `.` and `..` of the path are not allowed here"
            }
            (Reason::Unavailable, _) => "The server can't check its rate limits at the moment",
            (Reason::NoPeer, _) => {
                "The server's rate limits do not know the peer's address \
                 (with axum: serve with `into_make_service_with_connect_info`, and turn on the \
                 feature `axum` of tollgate-http)"
            }
        };
        let mut digits = itoa::Buffer::new();
        let mut parts: SmallVec<[&str; 16]> = smallvec![what];
        for (index, name) in self.violated().iter().enumerate() {
            parts.extend([if index == 0 { " (" } else { ", " }, name]);
        }
        parts.push(if self.violated().is_empty() { "." } else { ")." });
        if let Some(seconds) = self.retry_after() {
            let unit = if seconds == 1 { " second." } else { " seconds." };
            parts.extend([" Retry in ", digits.format(seconds), unit]);
        }
        then(&parts)
    }
}
