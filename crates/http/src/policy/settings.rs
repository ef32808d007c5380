//! What a policy says, as plain values: each setting by the word that the file has for it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::header::HeaderName;
use ipnet::IpNet;
use tollgate::Quota;

use super::path::PathPattern;
use crate::address::ClientAddress;

/// A whole policy, checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// Names of limits.
    pub(crate) always: Vec<String>,
    pub(crate) default_tier: Option<String>,
    pub(crate) client: ClientAddress,
    /// In the order of the file.
    pub(crate) limits: Vec<Limit>,
    pub(crate) tiers: Vec<Tier>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) routes: Vec<Route>,
    pub(crate) descriptors: Vec<DescriptorRule>,
    pub(crate) response: Response,
    pub(crate) penalty: Option<Penalty>,
}

/// Whether limits refuse, only tell, or rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Limits refuse.
    #[default]
    Enforce,
    /// Limits count, and tell what they would refuse.
    Shadow,
    /// Nothing is counted. Only for the whole policy, not for one limit.
    Off,
}

/// `[limits.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) name: String,
    pub(crate) quota: Quota,
    /// Empty: one bucket for all.
    pub(crate) key: Vec<KeyPart>,
    pub(crate) missing: Option<Missing>,
    pub(crate) algorithm: Algorithm,
    /// 429 or 503.
    pub(crate) status: u16,
    /// Never `Off`.
    pub(crate) mode: Mode,
    pub(crate) ipv4_prefix: Option<u8>,
    pub(crate) ipv6_prefix: Option<u8>,
    /// Default: one million.
    pub(crate) max_keys: Option<usize>,
    pub(crate) when_full: WhenFull,
}

/// One part of a key: what makes two requests use the same bucket or different ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPart {
    /// `address`: the client's network.
    Address,
    /// `user`
    User,
    /// `api-key`
    ApiKey,
    /// `caller`: the user, else the API key, else the address.
    Caller,
    /// `header:NAME`
    Header(HeaderName),
    /// `route`: the route's name.
    Route,
    /// `method`
    Method,
    /// `host`
    Host,
    /// `entry:NAME`: the value of the descriptor's entry of this name.
    Entry(Arc<str>),
}

/// Displays the word that a policy has for the part, such as `api-key`.
impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::words::key::word(self))
    }
}

/// What happens to a request without a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// `address`: that part becomes the address.
    Address,
    /// `skip`: the limit is left out.
    Skip,
    /// `share`: all requests without it share one bucket.
    Share,
    /// `refuse`: 403.
    Refuse,
}

/// The rule of a limit: how permits come back. The [module](crate::policy#limitsname) compares
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `token-bucket`
    #[default]
    TokenBucket,
    /// `fixed-window`
    FixedWindow,
    /// `sliding-window`
    SlidingWindow,
    /// `strict`
    Strict,
}

/// What happens to a new key when a limit holds `max_keys`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// `share`: all new keys share one bucket.
    #[default]
    Share,
    /// `deny`: 503.
    Deny,
}

/// `[tiers.NAME]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tier {
    pub(crate) name: String,
    /// Limit and quota.
    pub(crate) quotas: Vec<(String, Quota)>,
}

/// Whom an entry of `[[subjects]]` is about.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// `user`
    User(String),
    /// `api_key`: the SHA-256 of the key.
    ApiKey([u8; 32]),
    /// `address`: a network.
    Address(IpNet),
}

/// Does not show the hash of an API key (rule P11).
impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => f.debug_tuple("User").field(user).finish(),
            Self::ApiKey(_) => f.debug_tuple("ApiKey").finish_non_exhaustive(),
            Self::Address(network) => f.debug_tuple("Address").field(network).finish(),
        }
    }
}

/// `[[subjects]]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subject {
    pub(crate) who: Who,
    pub(crate) tier: Option<String>,
    /// Limit and quota.
    pub(crate) limits: Vec<(String, Quota)>,
    pub(crate) exempt: bool,
    pub(crate) blocked: bool,
    /// The end of `blocked`.
    pub(crate) until: Option<SystemTime>,
}

/// `[[routes]]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Route {
    /// Default: the text of the path.
    pub(crate) name: String,
    /// Empty: all.
    pub(crate) methods: Vec<String>,
    /// `None`: all.
    pub(crate) host: Option<HostPattern>,
    pub(crate) path: PathPattern,
    pub(crate) limits: Vec<String>,
    pub(crate) cost: u64,
    pub(crate) costs: Vec<(String, u64)>,
    /// `None`: always. Else the first and last status of each range, such as (400, 499) for
    /// `"4xx"`.
    pub(crate) charge: Option<Vec<(u16, u16)>>,
    pub(crate) always: bool,
}

/// Which hosts a route matches; in lower case, without port and final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    /// This host.
    Exact(String),
    /// `*.example.com`: every host below this one, not the host itself.
    Below(String),
}

/// `[[descriptors]]`: what holds for the descriptors of Envoy's rate limit service.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DescriptorRule {
    pub(crate) domain: String,
    /// At least one.
    pub(crate) entries: Vec<EntryPattern>,
    /// Names of limits; empty: nothing is limited.
    pub(crate) limits: Vec<String>,
    /// Whether such a descriptor is always over its limit.
    pub(crate) blocked: bool,
    /// Whether such a descriptor is decided as a request.
    pub(crate) as_request: bool,
    /// Whether hits above what is left become debt, as long as a permit is left.
    pub(crate) owe: bool,
}

/// Which entries of descriptors match: one item of `entries`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EntryPattern {
    pub(crate) key: String,
    pub(crate) value: ValuePattern,
}

/// Which values match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ValuePattern {
    /// `key`: any value.
    Any,
    /// `key=value`: this one.
    Exact(String),
    /// `key=a*b`: those that have these texts in their order, and anything where an asterisk is.
    Like(String),
}

/// `[response]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Response {
    pub(crate) headers: Vec<Dialect>,
    pub(crate) x_ratelimit_reset: ResetForm,
    pub(crate) body: BodyForm,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            headers: vec![Dialect::RateLimit, Dialect::XRateLimit],
            x_ratelimit_reset: ResetForm::default(),
            body: BodyForm::default(),
        }
    }
}

/// A family of header fields in which clients are told of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `ratelimit`: `RateLimit` and `RateLimit-Policy` of the IETF draft 11.
    RateLimit,
    /// `x-ratelimit`: `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    XRateLimit,
    /// `ratelimit-07`: the same names with the values of draft 7. Never together with `ratelimit`.
    RateLimit07,
}

/// What `X-RateLimit-Reset` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResetForm {
    /// `seconds` from now.
    #[default]
    Seconds,
    /// `epoch`: seconds since 1970.
    Epoch,
}

/// The body of a refusal. Each but [`None`](Self::None) says which limits refused, and the wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyForm {
    /// `problem`: `application/problem+json`.
    #[default]
    Problem,
    /// `json`
    Json,
    /// `text`
    Text,
    /// `none`
    None,
}

/// `[penalty]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Penalty {
    /// A part that is missing becomes the address.
    pub(crate) key: Vec<KeyPart>,
    pub(crate) after: Quota,
    pub(crate) block: Duration,
    pub(crate) growth: u32,
    pub(crate) max: Duration,
    pub(crate) forget: Duration,
}
