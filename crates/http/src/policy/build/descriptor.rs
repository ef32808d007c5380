//! Rules for descriptors in code.

use super::fields::Fields;
use super::texts;
use crate::policy::settings::{EntryPattern, ValuePattern};
use crate::policy::source::Value;

/// What holds for the descriptors of Envoy's rate limit service that match: `[[descriptors]]` of a
/// file.
///
/// ```
/// use tollgate_http::policy::DescriptorRule;
/// let rule = DescriptorRule::new("edge")
///     .entry_is("generic_key", "login")
///     .entry("remote_address")
///     .limits(["per_client"]);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a rule does nothing until it is part of a policy"]
pub struct DescriptorRule {
    fields: Fields,
    entries: Vec<Value>,
}

impl DescriptorRule {
    /// A rule for descriptors of this domain, which limits nothing. It needs at least one entry.
    pub fn new(domain: &str) -> Self {
        let mut fields = Fields::default();
        fields.set("domain", domain);
        Self { fields, entries: Vec::new() }
    }

    /// The next entry has this key, and any value.
    pub fn entry(self, key: &str) -> Self {
        self.push(key, ValuePattern::Any)
    }

    /// The next entry has this key and this value.
    pub fn entry_is(self, key: &str, value: &str) -> Self {
        self.push(key, ValuePattern::Exact(value.into()))
    }

    /// The next entry has this key, and a value that matches the pattern: an asterisk stands for
    /// any text, also for none.
    pub fn entry_like(self, key: &str, pattern: &str) -> Self {
        self.push(key, ValuePattern::Like(pattern.into()))
    }

    fn push(self, key: &str, value: ValuePattern) -> Self {
        self.matching(&EntryPattern { key: key.into(), value })
    }

    /// The next entry matches this pattern.
    pub(super) fn matching(mut self, pattern: &EntryPattern) -> Self {
        self.entries.push(entry_value(pattern));
        self
    }

    /// The names of the limits. Default: none, so nothing is limited.
    pub fn limits<S: Into<String>>(mut self, limits: impl IntoIterator<Item = S>) -> Self {
        self.fields.set("limits", texts(limits));
        self
    }

    /// Such a descriptor is always over its limit.
    pub fn blocked(mut self) -> Self {
        self.fields.set("blocked", true);
        self
    }

    /// Such a descriptor is decided as a request, with the routes, tiers, subjects and penalties of
    /// the policy.
    pub fn as_request(mut self) -> Self {
        self.fields.set("as_request", true);
        self
    }

    /// Hits above what is left become debt, as long as one permit is left.
    pub fn owe(mut self) -> Self {
        self.fields.set("owe", true);
        self
    }

    pub(super) fn into_fields(mut self) -> Fields {
        self.fields.set("entries", Value::from_iter(self.entries));
        self.fields
    }
}

/// An entry as it stands in a file: a text, or a table if the text would mean something else.
fn entry_value(entry: &EntryPattern) -> Value {
    let EntryPattern { key, value } = entry;
    let is_plain = !key.contains(['=', '*']);
    match value {
        ValuePattern::Any if is_plain => key.as_str().into(),
        ValuePattern::Exact(value) if is_plain && !value.is_empty() && !value.contains('*') => {
            format!("{key}={value}").into()
        }
        ValuePattern::Like(pattern) if is_plain && pattern.contains('*') => {
            format!("{key}={pattern}").into()
        }
        _ => {
            let mut table = Fields::default();
            table.set("key", key.as_str());
            match value {
                ValuePattern::Any => {}
                ValuePattern::Exact(value) => table.set("value", value.as_str()),
                ValuePattern::Like(pattern) => table.set("like", pattern.as_str()),
            }
            table.into()
        }
    }
}
