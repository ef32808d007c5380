//! Limits and tiers in code.

use tollgate::Quota;

use super::fields::Fields;
use super::key_value;
use crate::policy::settings::{Algorithm, KeyPart, Missing, Mode, WhenFull};
use crate::policy::words::Word;

/// A limit: `[limits.NAME]` of a file.
///
/// ```
/// use tollgate_http::Quota;
/// use tollgate_http::policy::{KeyPart, Limit, Missing};
///
/// let limit = Limit::new("export", Quota::per_day(20).burst(5))
///     .key([KeyPart::User, KeyPart::Route])
///     .missing(Missing::Address);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a limit does nothing until it is part of a policy"]
pub struct Limit {
    pub(super) name: String,
    pub(super) fields: Fields,
}

impl Limit {
    /// A limit without key: one bucket for all. The name appears in header fields and metrics; it
    /// has 1 to 64 small letters, digits, `_`, `.` and `-`, with a letter or digit first.
    pub fn new(name: impl Into<String>, quota: Quota) -> Self {
        let mut fields = Fields::default();
        fields.set("quota", quota.to_string());
        Self { name: name.into(), fields }
    }

    /// What has a bucket of its own, such as each user. Default: one bucket for all.
    pub fn key(mut self, parts: impl IntoIterator<Item = KeyPart>) -> Self {
        match key_value(parts) {
            Some(value) => self.fields.set("key", value),
            None => self.fields.unset("key"),
        }
        self
    }

    /// What happens to a request without a part of the key. It must be said if a request can be
    /// without one: a user, an API key, or a header.
    pub fn missing(mut self, missing: Missing) -> Self {
        self.fields.set("missing", missing.word());
        self
    }

    /// The rule. Default: [`Algorithm::TokenBucket`].
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.fields.set("algorithm", algorithm.word());
        self
    }

    /// The status of a refusal, 429 or 503. Default: 429.
    pub fn status(mut self, status: u16) -> Self {
        self.fields.set("status", u64::from(status));
        self
    }

    /// Whether the limit refuses, or only tells: [`Mode::Enforce`] (default) or [`Mode::Shadow`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.fields.set("mode", mode.word());
        self
    }

    /// How many bits of an IPv4 address make a key, 8 to 32. Default: that of the client.
    pub fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.fields.set("ipv4_prefix", u64::from(bits));
        self
    }

    /// How many bits of an IPv6 address make a key, 32 to 128. Default: that of the client.
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.fields.set("ipv6_prefix", u64::from(bits));
        self
    }

    /// The most keys that are remembered, 1 to 2³² − 1. Default: one million.
    pub fn max_keys(mut self, most: usize) -> Self {
        self.fields.set("max_keys", u64::try_from(most).unwrap_or(u64::MAX));
        self
    }

    /// What happens to a new key if there are that many. Default: [`WhenFull::Share`].
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.fields.set("when_full", when_full.word());
        self
    }
}

/// A tier: `[tiers.NAME]` of a file. It has quotas of its own for some limits.
///
/// ```
/// use tollgate_http::Quota;
/// use tollgate_http::policy::Tier;
/// let gold = Tier::new("gold").limit("calls", Quota::per_minute(300));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a tier does nothing until it is part of a policy"]
pub struct Tier {
    pub(super) name: String,
    pub(super) quotas: Fields,
}

impl Tier {
    /// A tier in which each limit has its own quota.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), quotas: Fields::default() }
    }

    /// The quota of a limit in this tier.
    pub fn limit(mut self, name: &str, quota: Quota) -> Self {
        self.quotas.push(name, quota.to_string());
        self
    }
}
