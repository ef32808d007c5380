//! A plain model of the engine: one map for each limit, and integer arithmetic in nanoseconds.

use std::collections::HashMap;

use crate::scenario::{Bucket, KeyKind, Missing, Request, Scenario, Subject};

const SECOND: u128 = 1_000_000_000;

/// The level of a key: the time until it is full, at a time, under a quota.
#[derive(Clone, Copy, Debug)]
struct Level {
    quota: Bucket,
    to_full: u128,
    at: u128,
}

/// What one limit is expected to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) limit: usize,
    pub(crate) cost: u64,
    pub(crate) shadow: bool,
    pub(crate) refuses: bool,
    /// What is left, when it is full, and the wait; `None` of a shadow limit that was not asked.
    pub(crate) level: Option<(u64, u128, u128)>,
}

/// What is expected of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) outcome: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<u128>,
    pub(crate) penalty: bool,
    pub(crate) tier: Option<usize>,
    pub(crate) said: Vec<Said>,
}

/// One charge of a request: limit, key, quota, cost, and whether it is the route's own.
#[derive(Clone, Debug)]
struct Charge {
    limit: usize,
    key: String,
    quota: Bucket,
    cost: u64,
    own: bool,
}

/// What is to be given back if the answer is not charged.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    route: Option<usize>,
    returnable: Vec<Charge>,
}

pub(crate) struct Model<'a> {
    scenario: &'a Scenario,
    levels: Vec<HashMap<String, Level>>,
    refusals: HashMap<String, Level>,
    /// The end of the last block, and how many there were.
    blocks: HashMap<String, (u128, u32)>,
}

impl Level {
    fn refilled(self, now: u128) -> Self {
        Self { to_full: self.to_full.saturating_sub(now - self.at), at: now, ..self }
    }

    fn under(self, quota: Bucket) -> Self {
        let (times, parts) = (u128::from(quota.full), u128::from(self.quota.full));
        assert_eq!(self.to_full * times % parts, 0, "a scenario is exact");
        Self { quota, to_full: self.to_full * times / parts, ..self }
    }

    fn cost(self, permits: u64) -> u128 {
        let (full, burst) = (u128::from(self.quota.full) * SECOND, u128::from(self.quota.burst));
        assert_eq!(full % burst, 0, "a scenario is exact");
        full / burst * u128::from(permits)
    }

    fn wait(self, permits: u64) -> u128 {
        (self.to_full + self.cost(permits)).saturating_sub(u128::from(self.quota.full) * SECOND)
    }

    /// What is left, when it is full, and the time until the next permit if none is left.
    fn told(self) -> (u64, u128, u128) {
        let left = (u128::from(self.quota.full) * SECOND).saturating_sub(self.to_full);
        let left = u64::try_from(left / self.cost(1)).expect("a burst");
        (left, self.to_full, if left == 0 { self.wait(1) } else { 0 })
    }
}

fn level(of: &HashMap<String, Level>, key: &str, quota: Bucket, now: u128) -> Level {
    let new = Level { quota, to_full: 0, at: now };
    of.get(key).copied().unwrap_or(new).refilled(now).under(quota)
}

impl<'a> Model<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let levels = scenario.limits.iter().map(|_| HashMap::new()).collect();
        Self { scenario, levels, refusals: HashMap::new(), blocks: HashMap::new() }
    }

    fn subjects(&self, request: &Request) -> Vec<&'a Subject> {
        let scenario = self.scenario;
        let mut subjects = Vec::new();
        subjects.extend(request.user.and_then(|user| scenario.users.get(user)));
        if request.api_key == Some(0) {
            subjects.push(&scenario.api_key);
        }
        // 203.0.113.0 and .1 are in the network, the others are not.
        match request.address {
            0 => subjects.push(&scenario.networks[0]),
            1 => subjects.extend([&scenario.networks[1], &scenario.networks[0]]),
            _ => {}
        }
        subjects
    }

    fn route(&self, request: &Request) -> Option<usize> {
        let route = self.scenario.routes.get(request.route)?;
        let fits = !route.only_get || matches!(request.method, "GET" | "HEAD");
        fits.then_some(request.route)
    }

    fn key(&self, kind: KeyKind, missing: Missing, request: &Request) -> Result<String, Missing> {
        let address = || format!("address {}", request.address);
        let user = request.user.map(|user| format!("user {user}"));
        let api_key = request.api_key.map(|key| format!("key {key}"));
        let or_missing = |part: Option<String>| match (part, missing) {
            (Some(part), _) => Ok(part),
            (None, Missing::Address) => Ok(address()),
            (None, Missing::Share) => Ok("shared".to_owned()),
            (None, Missing::Skip | Missing::Refuse) => Err(missing),
        };
        match kind {
            KeyKind::Everybody => Ok(String::new()),
            KeyKind::Address => Ok(address()),
            KeyKind::Caller => Ok(user.or(api_key).unwrap_or_else(address)),
            KeyKind::User => or_missing(user),
            KeyKind::ApiKey => or_missing(api_key),
            KeyKind::Header => or_missing(request.header.map(|value| format!("header {value}"))),
            KeyKind::UserAndRoute => Ok(format!("{} {:?}", or_missing(user)?, self.route(request))),
        }
    }

    /// Decides about a request at `now`, in nanoseconds.
    pub(crate) fn decide(&mut self, request: &Request, now: u128) -> (Expected, Option<Pending>) {
        let scenario = self.scenario;
        let subjects = self.subjects(request);
        let mut expected = Expected {
            outcome: "Exempt",
            status: None,
            retry_after: None,
            penalty: false,
            tier: None,
            said: Vec::new(),
        };
        let status = |status| (!scenario.shadow).then_some(status);
        let wall = now + 3600 * SECOND;
        let is_over = |until: u64| wall >= u128::from(until) * SECOND;
        if subjects.iter().any(|who| who.blocked && !who.until.is_some_and(is_over)) {
            (expected.outcome, expected.status) = ("Blocked", status(403));
            return (expected, None);
        }
        if subjects.iter().any(|who| who.exempt) {
            return (expected, None);
        }
        let known = request.tier.filter(|tier| *tier < scenario.tiers.len());
        let tier = subjects.iter().find_map(|who| who.tier).or(known).or(scenario.default_tier);
        expected.tier = tier;
        let penalty_key = scenario.penalty.as_ref().map(|penalty| {
            self.key(penalty.key, Missing::Address, request).expect("the address stands for it")
        });
        let block = penalty_key.as_ref().and_then(|key| self.blocks.get(key));
        if let Some((until, _)) = block.filter(|(until, _)| now < *until) {
            (expected.outcome, expected.status) = ("Penalty", status(429));
            expected.retry_after = (!scenario.shadow).then_some(until - now);
            expected.penalty = true;
            return (expected, None);
        }
        expected.outcome = "Allowed";
        let Some(charges) = self.charges(request, &subjects, tier) else {
            (expected.outcome, expected.status) = ("MissingKey", status(403));
            return (expected, None);
        };
        let is_shadow = |charge: &Charge| scenario.shadow || scenario.limits[charge.limit].shadow;
        let level_of = |levels: &[HashMap<String, Level>], charge: &Charge| {
            level(&levels[charge.limit], &charge.key, charge.quota, now)
        };
        let refusing: Vec<(u128, u16)> = charges
            .iter()
            .filter(|charge| !is_shadow(charge))
            .map(|charge| {
                let wait = level_of(&self.levels, charge).wait(charge.cost);
                (wait, scenario.limits[charge.limit].status)
            })
            .filter(|(wait, _)| *wait > 0)
            .collect();
        let passes = refusing.is_empty();
        let mut returnable = Vec::new();
        for charge in &charges {
            let (shadow, before) = (is_shadow(charge), level_of(&self.levels, charge));
            let wait = before.wait(charge.cost);
            let refuses = wait > 0 && (passes || !shadow);
            let takes = passes && wait == 0;
            let spent = if takes { before.cost(charge.cost) } else { 0 };
            let after = Level { to_full: before.to_full + spent, ..before };
            let mut told = after.told();
            if refuses {
                told.2 = wait;
            }
            let asked = passes || !shadow;
            // A limit that would let a refused request pass is not touched.
            if takes || refuses {
                self.levels[charge.limit].insert(charge.key.clone(), after);
            }
            if takes && charge.own {
                returnable.push(charge.clone());
            }
            let (limit, cost) = (charge.limit, charge.cost);
            let level = asked.then_some(told);
            expected.said.push(Said { limit, cost, shadow, refuses, level });
        }
        let longest = refusing
            .iter()
            .copied()
            .fold((0, 0), |one, other| if other.0 > one.0 { other } else { one });
        if !passes {
            expected.outcome = "Refused";
            (expected.retry_after, expected.status) = (Some(longest.0), Some(longest.1));
            if let Some(block) = penalty_key.and_then(|key| self.count(key, now)) {
                (expected.retry_after, expected.status) = (Some(block), Some(429));
                expected.penalty = true;
            }
        }
        let pending = Pending { route: self.route(request), returnable };
        (expected, passes.then_some(pending))
    }

    /// Counts a refusal; returns the block that it begins.
    fn count(&mut self, key: String, now: u128) -> Option<u128> {
        let penalty = self.scenario.penalty.as_ref()?;
        let before = level(&self.refusals, &key, penalty.after, now);
        if before.wait(1) == 0 {
            let after = Level { to_full: before.to_full + before.cost(1), ..before };
            self.refusals.insert(key, after);
            return None;
        }
        self.refusals.remove(&key);
        let blocks = match self.blocks.get(&key) {
            Some((end, blocks)) if now < end + u128::from(penalty.forget) * SECOND => *blocks,
            _ => 0,
        };
        let grown = (0..blocks).fold(u128::from(penalty.block), |block, _| {
            block.saturating_mul(u128::from(penalty.growth))
        });
        let block = grown.min(u128::from(penalty.max)) * SECOND;
        self.blocks.insert(key, (now + block, blocks + 1));
        Some(block)
    }

    fn charges(
        &self,
        request: &Request,
        subjects: &[&Subject],
        tier: Option<usize>,
    ) -> Option<Vec<Charge>> {
        let scenario = self.scenario;
        let route = self.route(request).map(|route| &scenario.routes[route]);
        let has_always = route.is_none_or(|route| route.always);
        let always = scenario.always.iter().filter(|_| has_always);
        let mut limits: Vec<(usize, bool)> = always.map(|limit| (*limit, false)).collect();
        for limit in route.iter().flat_map(|route| &route.limits) {
            if !limits.iter().any(|(known, _)| known == limit) {
                limits.push((*limit, true));
            }
        }
        let mut charges = Vec::new();
        for (index, own) in limits {
            let limit = &scenario.limits[index];
            let of = |quotas: &[(usize, Option<Bucket>)]| {
                quotas.iter().find(|(of, _)| *of == index).map(|(_, quota)| *quota)
            };
            let tiers = || tier.and_then(|tier| of(&scenario.tiers[tier]));
            let subjects = subjects.iter().find_map(|who| of(&who.quotas));
            let Some(quota) = subjects.or_else(tiers).unwrap_or(limit.quota) else { continue };
            let key = match self.key(limit.key, limit.missing, request) {
                Ok(key) => key,
                Err(Missing::Refuse) if !limit.shadow && !scenario.shadow => return None,
                Err(_) => continue,
            };
            let cost = route.map_or(1, |route| {
                let of_limit = route.costs.iter().find(|(of, _)| *of == index);
                of_limit.map_or(route.cost, |(_, cost)| *cost)
            });
            charges.push(Charge { limit: index, key, quota, cost, own });
        }
        Some(charges)
    }

    /// Tells the model the status of an answer.
    pub(crate) fn answered(&mut self, pending: &Pending, status: u16, now: u128) {
        let route = pending.route.map(|route| &self.scenario.routes[route]);
        let Some((first, last)) = route.and_then(|route| route.charge) else { return };
        if (first..=last).contains(&status) {
            return;
        }
        for charge in &pending.returnable {
            let before = level(&self.levels[charge.limit], &charge.key, charge.quota, now);
            let to_full = before.to_full.saturating_sub(before.cost(charge.cost));
            let after = Level { to_full, ..before };
            self.levels[charge.limit].insert(charge.key.clone(), after);
        }
    }
}
