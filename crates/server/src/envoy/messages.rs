//! The messages of the protocol, written by hand: the fields that this service reads or writes.
//!
//! Names and numbers are those of the files `envoy/service/ratelimit/v3/rls.proto`,
//! `envoy/extensions/common/ratelimit/v3/ratelimit.proto` and `envoy/config/core/v3/base.proto` of
//! Envoy 1.40.0, compared with the descriptors in its binary. Fields that are not here are skipped
//! by whoever reads a message, as protobuf wants it.

use std::borrow::Cow;

/// A request: may the request that has these descriptors go on?
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimitRequest {
    /// The domain of Envoy's configuration.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The descriptors, at least one.
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<RateLimitDescriptor>,
    /// How many permits each descriptor takes that does not say it itself; 0 means 1.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

/// A list of entries, and how many permits it takes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimitDescriptor {
    /// The entries.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    /// A limit instead of that of the service.
    #[prost(message, optional, tag = "2")]
    pub limit: Option<RateLimitOverride>,
    /// How many permits it takes; 0 is a look.
    #[prost(message, optional, tag = "3")]
    pub hits_addend: Option<u64>,
    /// Whether the permits are given back, and not taken.
    #[prost(bool, tag = "4")]
    pub is_negative_hits: bool,
}

/// One entry of a descriptor. The protocol says that both are texts, but Envoy sends the bytes of a
/// header or a path as they are. A message that can't be read is answered with an error, and Envoy
/// then lets the request through; so both are read as bytes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// What the value is.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl Entry {
    /// An entry of two texts.
    #[must_use]
    pub fn new(key: &str, value: &str) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// The key and the value, with U+FFFD in the place of what is not UTF-8.
    #[must_use]
    pub fn texts(&self) -> (Cow<'_, str>, Cow<'_, str>) {
        (String::from_utf8_lossy(&self.key), String::from_utf8_lossy(&self.value))
    }
}

/// A limit that the configuration of Envoy says.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct RateLimitOverride {
    /// How many requests are allowed in one unit.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The unit of time.
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
    /// How many units long the period is.
    #[prost(message, optional, tag = "3")]
    pub unit_multiplier: Option<u32>,
}

/// The answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimitResponse {
    /// The answer for all descriptors together.
    #[prost(enumeration = "Code", tag = "1")]
    pub overall_code: i32,
    /// The answer for each descriptor, in their order.
    #[prost(message, repeated, tag = "2")]
    pub statuses: Vec<DescriptorStatus>,
    /// Fields for the response to the client.
    #[prost(message, repeated, tag = "3")]
    pub response_headers_to_add: Vec<HeaderValue>,
}

/// The answer for one descriptor.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DescriptorStatus {
    /// Whether it is over its limit.
    #[prost(enumeration = "Code", tag = "1")]
    pub code: i32,
    /// The limit that is nearest to refusing, or that has refused.
    #[prost(message, optional, tag = "2")]
    pub current_limit: Option<RateLimit>,
    /// How many permits are left of this limit.
    #[prost(uint32, tag = "3")]
    pub limit_remaining: u32,
    /// If the descriptor is over its limit, the time until it can pass; else the time until all
    /// permits of the limit are there.
    #[prost(message, optional, tag = "4")]
    pub duration_until_reset: Option<prost_types::Duration>,
}

/// A limit as Envoy is told of it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RateLimit {
    /// How many requests are allowed in one period.
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    /// The unit of time; [`Unit::Unknown`] if the period is not a whole number of seconds.
    #[prost(enumeration = "Unit", tag = "2")]
    pub unit: i32,
    /// The name of the limit in the policy.
    #[prost(string, tag = "3")]
    pub name: String,
    /// How many units long the period is; one if this is missing.
    #[prost(message, optional, tag = "4")]
    pub unit_multiplier: Option<u32>,
}

/// A header field.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HeaderValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Whether something is over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Code {
    /// Not known. Envoy takes it for [`Ok`](Self::Ok), and this service never answers it.
    Unknown = 0,
    /// It is not.
    Ok = 1,
    /// It is.
    OverLimit = 2,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Unit {
    /// Not known.
    Unknown = 0,
    /// A second.
    Second = 1,
    /// A minute.
    Minute = 2,
    /// An hour.
    Hour = 3,
    /// A day.
    Day = 4,
    /// 30 days.
    Month = 5,
    /// 365 days.
    Year = 6,
}
