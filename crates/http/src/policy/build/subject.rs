//! Subjects in code.

use std::fmt;
use std::time::SystemTime;

use ipnet::IpNet;
use sha2::{Digest, Sha256};
use tollgate::Quota;

use super::fields::Fields;
use crate::policy::print::hex;
use crate::policy::read::subject::HASH;
use crate::policy::read::time::time_text;
use crate::policy::source::Value;

/// What holds for one user, API key or network: `[[subjects]]` of a file.
///
/// ```
/// use tollgate_http::policy::Subject;
/// let alice = Subject::user("alice").tier("gold");
/// let probe = Subject::user("status-probe").exempt();
/// let scraper = Subject::address("203.0.113.0/24".parse()?).blocked();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "a subject does nothing until it is part of a policy"]
pub struct Subject {
    pub(super) fields: Fields,
}

impl Subject {
    fn new(key: &str, value: impl Into<Value>) -> Self {
        let mut fields = Fields::default();
        fields.set(key, value);
        Self { fields }
    }

    /// A user, by the name that the application authenticates. It must not be empty.
    pub fn user(name: &str) -> Self {
        Self::new("user", name)
    }

    /// Whoever has this API key. Only its SHA-256 is kept.
    pub fn api_key(key: &str) -> Self {
        Self::api_key_sha256(Sha256::digest(key).into())
    }

    /// Whoever has the API key with this SHA-256.
    pub fn api_key_sha256(hash: [u8; 32]) -> Self {
        Self::new("api_key", format!("{HASH}{}", hex(&hash)))
    }

    /// All clients in this network. A single address is a network, too.
    pub fn address(network: IpNet) -> Self {
        Self::new("address", network.to_string())
    }

    /// The subject's tier, whatever the application says.
    pub fn tier(mut self, name: &str) -> Self {
        self.fields.set("tier", name);
        self
    }

    /// The quota of a limit for this subject alone.
    pub fn limit(mut self, name: &str, quota: Quota) -> Self {
        self.fields.push_in("limits", name, quota.to_string());
        self
    }

    /// No limit holds for the subject.
    pub fn exempt(mut self) -> Self {
        self.fields.set("exempt", true);
        self
    }

    /// All requests of the subject are refused.
    pub fn blocked(mut self) -> Self {
        self.fields.set("blocked", true);
        self
    }

    /// All requests of the subject are refused until `end`, which lies in the years 1970 to 9999.
    pub fn blocked_until(mut self, end: SystemTime) -> Self {
        self.fields.set("until", Value::Time(time_text(end)));
        self.blocked()
    }
}

/// Says nothing of an API key, not even its hash.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
