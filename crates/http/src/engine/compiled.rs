//! A policy in force: names have become indices, and what never changes is computed once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hashbrown::HashMap;
use http::HeaderValue;
use tollgate::Quota;

use super::store::{Buckets, Identity, LimitSpec, Store, StoreError};
use super::subjects::{Entry, Subjects};
use crate::address::Prefixes;
use crate::policy::settings::{self, HostPattern, Settings};
use crate::policy::{Algorithm, KeyPart, Missing, Mode, PathPattern, Policy};
use crate::respond::{Fields, LimitTexts};

/// How many keys a limit keeps if the policy does not say.
const MAX_KEYS: usize = 1_000_000;

/// For how many combinations of route and tier a field is kept.
const MAX_FIELDS: usize = 100_000;

/// A policy in force.
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) limits: Box<[CompiledLimit]>,
    pub(crate) routes: Box<[CompiledRoute]>,
    /// The limits of a request that no route matches.
    pub(crate) no_route: Box<[RouteLimit]>,
    pub(crate) tiers: Box<[CompiledTier]>,
    tiers_by_name: HashMap<Arc<str>, u16, ahash::RandomState>,
    pub(crate) default_tier: Option<u16>,
    pub(crate) subjects: Subjects,
    pub(crate) penalty: Option<CompiledPenalty>,
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
    pub(crate) metrics: crate::observe::PolicyMetrics,
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
    known_quotas: HashMap<Quota, u32, ahash::RandomState>,
    /// What the headers say of each quota; `None` of an unlimited one.
    pub(crate) texts: Box<[Option<LimitTexts>]>,
}

/// One route.
pub(crate) struct CompiledRoute {
    pub(crate) name: Arc<str>,
    methods: Box<[Box<str>]>,
    host: Option<HostPattern>,
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
    /// Compiles a policy, and opens the buckets of its limits.
    pub(crate) fn new(policy: &Policy, store: &dyn Store) -> Result<Self, StoreError> {
        let settings = policy.settings();
        let index = Index::new(settings);
        let mut limits: Vec<CompiledLimit> =
            settings.limits.iter().map(|limit| compiled_limit(limit, settings)).collect();
        let tiers: Box<[CompiledTier]> = settings
            .tiers
            .iter()
            .map(|tier| {
                let mut quotas: Box<[u32]> = std::iter::repeat_n(0, limits.len()).collect();
                for (name, quota) in &tier.quotas {
                    if let Some(limit) = index.limit(name) {
                        quotas[usize::from(limit)] = limits[usize::from(limit)].quota(*quota);
                    }
                }
                CompiledTier { name: tier.name.as_str().into(), quotas }
            })
            .collect();
        let mut subjects = Subjects::default();
        for subject in &settings.subjects {
            let quotas = subject.limits.iter().filter_map(|(name, quota)| {
                let limit = index.limit(name)?;
                Some((limit, limits[usize::from(limit)].quota(*quota)))
            });
            let entry = Entry {
                exempt: subject.exempt,
                blocked: subject.blocked,
                until: subject.until,
                tier: subject.tier.as_ref().and_then(|name| index.tier(name)),
                quotas: quotas.collect(),
            };
            subjects.add(&subject.who, entry);
        }
        let specs: Vec<LimitSpec> = settings
            .limits
            .iter()
            .zip(&limits)
            .map(|(limit, compiled)| LimitSpec {
                identity: compiled.identity(limit.algorithm),
                quotas: compiled.quotas.clone(),
                max_keys: limit.max_keys.unwrap_or(MAX_KEYS),
                when_full: limit.when_full,
            })
            .collect();
        let penalty = settings.penalty.as_ref().map(|penalty| CompiledPenalty {
            key: penalty.key.clone().into(),
            prefixes: settings.client.prefixes,
            after: penalty.after,
            block: penalty.block,
            growth: penalty.growth,
            max: penalty.max,
            forget: penalty.forget,
        });
        for limit in &mut limits {
            limit.texts =
                limit.quotas.iter().map(|quota| LimitTexts::new(&limit.name, *quota)).collect();
        }
        let buckets = store.open(&specs)?;
        let always: Vec<RouteLimit> = settings
            .always
            .iter()
            .filter_map(|name| index.limit(name))
            .map(|limit| RouteLimit { limit, cost: 1, own: false })
            .collect();
        let routes: Box<[CompiledRoute]> = settings
            .routes
            .iter()
            .map(|route| {
                let mut limits = if route.always { always.clone() } else { Vec::new() };
                for limit in route.limits.iter().filter_map(|name| index.limit(name)) {
                    if !limits.iter().any(|other| other.limit == limit) {
                        limits.push(RouteLimit { limit, cost: 1, own: true });
                    }
                }
                for limit in &mut limits {
                    let name = &settings.limits[usize::from(limit.limit)].name;
                    let own = route.costs.iter().find(|(of, _)| of == name);
                    limit.cost = own.map_or(route.cost, |(_, cost)| *cost);
                }
                CompiledRoute {
                    name: route.name.as_str().into(),
                    methods: route.methods.iter().map(|method| method.as_str().into()).collect(),
                    host: route.host.clone(),
                    path: route.path.clone(),
                    limits: limits.into(),
                    charge: route.charge.clone().map(Into::into),
                }
            })
            .collect();
        let combinations = (routes.len() + 1) * (tiers.len() + 1);
        let policy_fields =
            std::iter::repeat_with(OnceLock::new).take(combinations.min(MAX_FIELDS)).collect();
        let keys_name_host = settings.limits.iter().any(|limit| limit.key.contains(&KeyPart::Host))
            || settings.penalty.iter().any(|penalty| penalty.key.contains(&KeyPart::Host));
        Ok(Self {
            #[cfg(feature = "metrics")]
            metrics: crate::observe::PolicyMetrics::new(&specs, &routes, policy),
            policy: policy.clone(),
            needs_host: keys_name_host || routes.iter().any(|route| route.host.is_some()),
            limits: limits.into(),
            no_route: always.into(),
            routes,
            tiers,
            default_tier: settings.default_tier.as_ref().and_then(|name| index.tier(name)),
            tiers_by_name: index.tiers,
            subjects,
            penalty,
            buckets,
            fields: Fields::new(&settings.response.headers, settings.response.x_ratelimit_reset),
            policy_fields,
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.policy.settings()
    }

    /// The tier with this name.
    pub(crate) fn tier(&self, name: &str) -> Option<u16> {
        self.tiers_by_name.get(name).copied()
    }
}

impl CompiledLimit {
    /// The index of a quota, which is added if it is new.
    fn quota(&mut self, quota: Quota) -> u32 {
        let next = u32::try_from(self.quotas.len()).unwrap_or(0);
        *self.known_quotas.entry(quota).or_insert_with(|| {
            self.quotas.push(quota);
            next
        })
    }

    fn identity(&self, algorithm: Algorithm) -> Identity {
        let (name, key, prefixes) = (Arc::clone(&self.name), self.key.to_vec(), self.prefixes);
        Identity { name, key, algorithm, prefixes }
    }
}

fn compiled_limit(limit: &settings::Limit, settings: &Settings) -> CompiledLimit {
    let prefixes = settings.client.prefixes;
    CompiledLimit {
        name: limit.name.as_str().into(),
        key: limit.key.clone().into(),
        missing: limit.missing,
        prefixes: Prefixes {
            ipv4: limit.ipv4_prefix.unwrap_or(prefixes.ipv4),
            ipv6: limit.ipv6_prefix.unwrap_or(prefixes.ipv6),
        },
        status: limit.status,
        shadow: limit.mode != Mode::Enforce || settings.mode != Mode::Enforce,
        quotas: vec![limit.quota],
        known_quotas: std::iter::once((limit.quota, 0)).collect(),
        texts: Box::default(),
    }
}

/// The index of each name.
struct Index {
    limits: HashMap<Arc<str>, u16, ahash::RandomState>,
    tiers: HashMap<Arc<str>, u16, ahash::RandomState>,
}

impl Index {
    fn new(settings: &Settings) -> Self {
        fn of<'a>(
            names: impl Iterator<Item = &'a String>,
        ) -> HashMap<Arc<str>, u16, ahash::RandomState> {
            names.map(|name| name.as_str().into()).zip(0..=u16::MAX).collect()
        }
        Self {
            limits: of(settings.limits.iter().map(|limit| &limit.name)),
            tiers: of(settings.tiers.iter().map(|tier| &tier.name)),
        }
    }

    fn limit(&self, name: &str) -> Option<u16> {
        self.limits.get(name).copied()
    }

    fn tier(&self, name: &str) -> Option<u16> {
        self.tiers.get(name).copied()
    }
}
