//! A policy in force: names have become indices, and what never changes is computed once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hashbrown::HashMap;
use http::HeaderValue;
use tollgate::Quota;

use super::descriptors::Rules;
use super::route_index::RouteIndex;
use super::store::Buckets;
use super::subjects::Subjects;
use crate::address::Prefixes;
use crate::policy::settings::{HostPattern, Settings};
use crate::policy::{KeyPart, Missing, PathPattern, Policy};
use crate::respond::{Fields, LimitTexts};

/// A policy in force.
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) limits: Box<[CompiledLimit]>,
    pub(crate) routes: Box<[CompiledRoute]>,
    pub(crate) route_index: RouteIndex,
    /// The limits of a request that no route matches.
    pub(crate) no_route: Box<[RouteLimit]>,
    pub(crate) tiers: Box<[CompiledTier]>,
    pub(super) tiers_by_name: HashMap<Arc<str>, u16, ahash::RandomState>,
    pub(crate) default_tier: Option<u16>,
    pub(crate) subjects: Subjects,
    pub(crate) penalty: Option<CompiledPenalty>,
    /// The rules for descriptors.
    pub(crate) descriptors: Rules,
    /// Whether the host of a request matters.
    pub(crate) needs_host: bool,
    pub(crate) buckets: Arc<dyn Buckets>,
    /// Which fields responses have.
    pub(crate) fields: Fields,
    /// The value of `RateLimit-Policy` by route and tier, each with a place for none, made when it
    /// is first needed.
    pub(crate) policy_fields: Box<[OnceLock<Option<HeaderValue>>]>,
    /// The handles of its counters and gauges.
    #[cfg(feature = "metrics")]
    pub(crate) metrics: crate::engine::observe::PolicyMetrics,
}

/// One limit.
pub(crate) struct CompiledLimit {
    pub(crate) name: Arc<str>,
    pub(crate) key: Box<[KeyPart]>,
    pub(crate) missing: Option<Missing>,
    pub(crate) prefixes: Prefixes,
    pub(crate) status: u16,
    pub(crate) shadow: bool,
    /// The limit's own quota, then those of tiers and subjects.
    pub(crate) quotas: Vec<Quota>,
    /// The index of each quota.
    pub(super) known_quotas: HashMap<Quota, u32, ahash::RandomState>,
    /// What the headers say of each quota; `None` of an unlimited one.
    pub(crate) texts: Box<[Option<LimitTexts>]>,
}

/// One route.
pub(crate) struct CompiledRoute {
    pub(crate) name: Arc<str>,
    pub(super) methods: Box<[Box<str>]>,
    pub(super) host: Option<HostPattern>,
    pub(crate) path: PathPattern,
    pub(crate) limits: Box<[RouteLimit]>,
    /// The statuses that are charged; `None`: all.
    pub(crate) charge: Option<Box<[(u16, u16)]>>,
}

/// One limit of a route.
#[derive(Clone, Copy)]
pub(crate) struct RouteLimit {
    pub(crate) limit: u16,
    pub(crate) cost: u64,
    /// Whether it is the route's own, and not one of the limits of every request.
    pub(crate) own: bool,
}

/// One tier.
pub(crate) struct CompiledTier {
    pub(crate) name: Arc<str>,
    /// The quota of each limit.
    pub(crate) quotas: Box<[u32]>,
}

/// What happens to callers that go on in spite of refusals (rule P9).
pub(crate) struct CompiledPenalty {
    pub(crate) key: Box<[KeyPart]>,
    pub(crate) prefixes: Prefixes,
    /// The refusals that are put up with.
    pub(crate) after: Quota,
    pub(crate) block: Duration,
    pub(crate) growth: u32,
    pub(crate) max: Duration,
    pub(crate) forget: Duration,
}

impl CompiledRoute {
    pub(crate) fn accepts(&self, method: &str, host: Option<&str>) -> bool {
        let is_method = |known: &str| known == method || known == "GET" && method == "HEAD";
        (self.methods.is_empty() || self.methods.iter().any(|known| is_method(known)))
            && self
                .host
                .as_ref()
                .is_none_or(|pattern| host.is_some_and(|host| pattern.matches(host)))
    }
}

impl Compiled {
    pub(crate) fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    /// The tier with this name.
    pub(crate) fn tier(&self, name: &str) -> Option<u16> {
        self.tiers_by_name.get(name).copied()
    }
}
