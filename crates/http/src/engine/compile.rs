//! Compiles a policy: names become indices, and what never changes is computed once.

use std::sync::{Arc, OnceLock};

use hashbrown::HashMap;
use tollgate::Quota;

use super::compiled::{
    Compiled, CompiledLimit, CompiledPenalty, CompiledRoute, CompiledTier, RouteLimit,
};
use super::descriptors::Rules;
use super::route_index::RouteIndex;
use super::store::{Identity, LimitSpec, Store, StoreError};
use super::subjects::{Entry, Subjects};
use crate::address::Prefixes;
use crate::policy::settings::{self, Settings};
use crate::policy::{Algorithm, KeyPart, Mode, Policy};
use crate::respond::{Fields, LimitTexts};

/// How many keys a limit keeps if the policy does not say.
const MAX_KEYS: usize = 1_000_000;

/// For how many combinations of route and tier a field is kept.
const MAX_FIELDS: usize = 100_000;

impl Compiled {
    /// Compiles a policy, and opens the buckets of its limits.
    pub(crate) fn new(policy: &Policy, store: &dyn Store) -> Result<Self, StoreError> {
        let settings = policy.settings();
        let index = Index::new(settings);
        let mut limits: Vec<CompiledLimit> =
            settings.limits.iter().map(|limit| CompiledLimit::new(limit, settings)).collect();
        // Tiers and subjects add quotas to the limits.
        let tiers = tiers(settings, &index, &mut limits);
        let subjects = subjects(settings, &index, &mut limits);
        for limit in &mut limits {
            let texts = |quota: &Quota| LimitTexts::new(&limit.name, *quota);
            limit.texts = limit.quotas.iter().map(texts).collect();
        }
        let specs = specs(settings, &limits);
        let buckets = store.open(&specs)?;
        let always: Vec<RouteLimit> = index
            .limits(&settings.always)
            .map(|limit| RouteLimit { limit, cost: 1, own: false })
            .collect();
        let routes = routes(settings, &index, &always);
        let combinations = (routes.len() + 1) * (tiers.len() + 1);
        let policy_fields = std::iter::repeat_with(OnceLock::new);
        let keys = settings.limits.iter().map(|limit| &limit.key);
        let mut keys = keys.chain(settings.penalty.iter().map(|penalty| &penalty.key));
        let descriptors =
            Rules::new(&settings.descriptors, |limits| index.limits(limits).collect());
        let is_in_key = keys.any(|key| key.contains(&KeyPart::Host));
        Ok(Self {
            #[cfg(feature = "metrics")]
            metrics: crate::engine::observe::PolicyMetrics::new(&specs, &routes, policy),
            policy: policy.clone(),
            descriptors,
            needs_host: is_in_key || routes.iter().any(|route| route.host.is_some()),
            limits: limits.into(),
            no_route: always.into(),
            route_index: RouteIndex::new(&routes),
            routes,
            tiers,
            default_tier: settings.default_tier.as_ref().and_then(|name| index.tier(name)),
            tiers_by_name: index.tiers,
            subjects,
            penalty: settings.penalty.as_ref().map(|penalty| CompiledPenalty {
                key: penalty.key.clone().into(),
                prefixes: settings.client.prefixes,
                after: penalty.after,
                block: penalty.block,
                growth: penalty.growth,
                max: penalty.max,
                forget: penalty.forget,
            }),
            buckets,
            fields: Fields::new(&settings.response.headers, settings.response.x_ratelimit_reset),
            policy_fields: policy_fields.take(combinations.min(MAX_FIELDS)).collect(),
        })
    }
}

impl CompiledLimit {
    fn new(limit: &settings::Limit, settings: &Settings) -> Self {
        let prefixes = settings.client.prefixes;
        Self {
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

fn tiers(settings: &Settings, index: &Index, limits: &mut [CompiledLimit]) -> Box<[CompiledTier]> {
    let compiled = |tier: &settings::Tier| {
        // The first quota of a limit is its own.
        let mut quotas: Box<[u32]> = std::iter::repeat_n(0, limits.len()).collect();
        for (limit, quota) in index.quotas(&tier.quotas, limits) {
            quotas[usize::from(limit)] = quota;
        }
        CompiledTier { name: tier.name.as_str().into(), quotas }
    };
    settings.tiers.iter().map(compiled).collect()
}

fn subjects(settings: &Settings, index: &Index, limits: &mut [CompiledLimit]) -> Subjects {
    let mut subjects = Subjects::default();
    for subject in &settings.subjects {
        let entry = Entry {
            exempt: subject.exempt,
            blocked: subject.blocked,
            until: subject.until,
            tier: subject.tier.as_ref().and_then(|name| index.tier(name)),
            quotas: index.quotas(&subject.limits, limits).into(),
        };
        subjects.add(&subject.who, entry);
    }
    subjects
}

fn specs(settings: &Settings, limits: &[CompiledLimit]) -> Vec<LimitSpec> {
    let spec = |(limit, compiled): (&settings::Limit, &CompiledLimit)| LimitSpec {
        identity: compiled.identity(limit.algorithm),
        quotas: compiled.quotas.clone(),
        max_keys: limit.max_keys.unwrap_or(MAX_KEYS),
        when_full: limit.when_full,
    };
    settings.limits.iter().zip(limits).map(spec).collect()
}

fn routes(settings: &Settings, index: &Index, always: &[RouteLimit]) -> Box<[CompiledRoute]> {
    let compiled = |route: &settings::Route| {
        let mut limits = if route.always { always.to_vec() } else { Vec::new() };
        for limit in index.limits(&route.limits) {
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
    };
    settings.routes.iter().map(compiled).collect()
}

type ByName = HashMap<Arc<str>, u16, ahash::RandomState>;

/// The index of each name.
struct Index {
    limits: ByName,
    tiers: ByName,
}

impl Index {
    fn new(settings: &Settings) -> Self {
        fn of<'a>(names: impl Iterator<Item = &'a String>) -> ByName {
            names.map(|name| name.as_str().into()).zip(0..=u16::MAX).collect()
        }
        Self {
            limits: of(settings.limits.iter().map(|limit| &limit.name)),
            tiers: of(settings.tiers.iter().map(|tier| &tier.name)),
        }
    }

    fn limits(&self, names: &[String]) -> impl Iterator<Item = u16> {
        names.iter().filter_map(|name| self.limits.get(name.as_str()).copied())
    }

    fn tier(&self, name: &str) -> Option<u16> {
        self.tiers.get(name).copied()
    }

    /// Limits and their quotas, which are added to the limits if they are new.
    fn quotas(&self, named: &[(String, Quota)], limits: &mut [CompiledLimit]) -> Vec<(u16, u32)> {
        let of = |(name, quota): &(String, Quota)| {
            let limit = *self.limits.get(name.as_str())?;
            Some((limit, limits[usize::from(limit)].quota(*quota)))
        };
        named.iter().filter_map(of).collect()
    }
}
