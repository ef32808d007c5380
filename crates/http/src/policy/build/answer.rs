//! Responses and penalties in code.

use std::time::Duration;

use tollgate::Quota;

use super::fields::Fields;
use super::key_value;
use crate::policy::print::duration_text;
use crate::policy::settings::{BodyForm, Dialect, KeyPart, ResetForm};
use crate::policy::source::Value;
use crate::policy::words::Word;

/// How limits and refusals are told: `[response]` of a file.
///
/// ```
/// use tollgate_http::policy::{BodyForm, Dialect, Response};
/// let response = Response::new().headers([Dialect::RateLimit]).body(BodyForm::Text);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a response does nothing until it is part of a policy"]
pub struct Response {
    pub(super) fields: Fields,
}

impl Response {
    /// Both families of header fields, seconds, and a problem document.
    pub fn new() -> Self {
        Self::default()
    }

    /// The families of header fields. Default: `ratelimit` and `x-ratelimit`.
    pub fn headers(mut self, dialects: impl IntoIterator<Item = Dialect>) -> Self {
        let words: Value = dialects.into_iter().map(Word::word).collect();
        self.fields.set("headers", words);
        self
    }

    /// What `X-RateLimit-Reset` counts. Default: [`ResetForm::Seconds`].
    pub fn x_ratelimit_reset(mut self, form: ResetForm) -> Self {
        self.fields.set("x_ratelimit_reset", form.word());
        self
    }

    /// The body of a refusal. Default: [`BodyForm::Problem`].
    pub fn body(mut self, form: BodyForm) -> Self {
        self.fields.set("body", form.word());
        self
    }
}

/// What happens to those who go on in spite of refusals: `[penalty]` of a file.
///
/// ```
/// use std::time::Duration;
/// use tollgate_http::Quota;
/// use tollgate_http::policy::Penalty;
/// let penalty = Penalty::new(Quota::per_minute(30), Duration::from_secs(60)).growth(3);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a penalty does nothing until it is part of a policy"]
pub struct Penalty {
    pub(super) fields: Fields,
}

impl Penalty {
    /// As many refusals as `after` are put up with; the next one begins a block, which is `block`
    /// long the first time.
    pub fn new(after: Quota, block: Duration) -> Self {
        let mut fields = Fields::default();
        fields.set("after", after.to_string());
        fields.set("block", duration_text(block));
        Self { fields }
    }

    /// What is blocked. A part that a request does not have becomes its address. Default:
    /// [`KeyPart::Caller`].
    pub fn key(mut self, parts: impl IntoIterator<Item = KeyPart>) -> Self {
        self.fields.set("key", key_value(parts).unwrap_or_else(|| Value::List(Vec::new())));
        self
    }

    /// How many times as long as the one before each block is, at least 1. Default: 2.
    pub fn growth(mut self, factor: u32) -> Self {
        self.fields.set("growth", u64::from(factor));
        self
    }

    /// The longest block. Default: one hour, or the first block if that is longer.
    pub fn max(mut self, longest: Duration) -> Self {
        self.fields.set("max", duration_text(longest));
        self
    }

    /// How long after a block's end blocks are forgotten. Default: one day.
    pub fn forget(mut self, after: Duration) -> Self {
        self.fields.set("forget", duration_text(after));
        self
    }
}
