//! What one limit is asked, and the buckets that grant everything.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use tollgate::algorithm::{Algorithm as _, GreedyRefill, GreedyState};
use tollgate::keyed::{Equivalent as _, ToKey as _};
use tollgate::{Quota, Timestamp};
use tollgate_http::engine::Key;
use tollgate_http::engine::store::{Charge, LimitSpec};
use tollgate_http::policy::Algorithm;

/// What one limit was asked.
pub(in crate::replay) struct MeasuredLimit {
    pub(in crate::replay) spec: LimitSpec,
    /// Whether it only tells what it would refuse, as far as it was asked.
    pub(in crate::replay) is_shadow: bool,
    /// How often it was asked.
    pub(in crate::replay) decided: u64,
    /// How often it refused, or would have.
    pub(in crate::replay) refused: u64,
    keys: HashTable<(Key, KeyUse)>,
    hasher: ahash::RandomState,
    /// One for each quota; `None` where no burst is computed.
    rules: Vec<Option<GreedyRefill>>,
    /// For each quota, what keys needed that have another quota now.
    needed: Vec<u64>,
    /// Whether a key was asked under several quotas.
    pub(in crate::replay) is_mixed: bool,
}

/// What one key of a limit asked.
pub(in crate::replay) struct KeyUse {
    pub(in crate::replay) decided: u64,
    pub(in crate::replay) refused: u64,
    /// The index of its quota.
    pub(in crate::replay) quota: usize,
    /// A bucket that grants everything.
    bottomless: GreedyState,
    /// The deepest it was drawn down, in the rule's exact units.
    deepest: u128,
}

impl MeasuredLimit {
    pub(super) fn new(spec: &LimitSpec) -> Self {
        let is_bucket = spec.identity.algorithm == Algorithm::TokenBucket;
        let rule = |quota: &Quota| {
            let is_limited = is_bucket && !quota.is_unlimited();
            is_limited.then(|| GreedyRefill::try_from(*quota).ok()).flatten()
        };
        Self {
            spec: spec.clone(),
            is_shadow: false,
            decided: 0,
            refused: 0,
            keys: HashTable::new(),
            hasher: ahash::RandomState::new(),
            rules: spec.quotas.iter().map(rule).collect(),
            needed: vec![0; spec.quotas.len()],
            is_mixed: false,
        }
    }

    /// The keys that asked.
    pub(in crate::replay) fn keys(&self) -> impl ExactSizeIterator<Item = (&Key, &KeyUse)> {
        self.keys.iter().map(|(key, used)| (key, used))
    }

    fn key(&mut self, charge: &Charge, now: Timestamp) -> (&mut KeyUse, Option<&GreedyRefill>) {
        let rule = self.rules.get(charge.quota).and_then(Option::as_ref);
        let Self { keys, hasher, .. } = self;
        let hash = hasher.hash_one(&charge.key);
        let is_it = |(key, _): &(Key, KeyUse)| charge.key.equivalent(key);
        // A new key is copied; all others are found without.
        let (_, used) = match keys.entry(hash, is_it, |(key, _)| hasher.hash_one(key)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(room) => {
                let bottomless = rule.map_or_else(GreedyState::default, |rule| rule.start(now, 0));
                let quota = charge.quota;
                let new = KeyUse { decided: 0, refused: 0, quota, bottomless, deepest: 0 };
                room.insert((charge.key.to_key(), new)).into_mut()
            }
        };
        if used.quota != charge.quota {
            self.is_mixed = true;
            let before = self.rules.get(used.quota).and_then(Option::as_ref);
            if let (Some(before), Some(needed)) = (before, self.needed.get_mut(used.quota)) {
                *needed = (*needed).max(used.needed(before));
            }
            let left = before.map_or(0, |before| before.used(&used.bottomless, now));
            used.bottomless = rule.map_or_else(GreedyState::default, |rule| rule.start(now, left));
            (used.quota, used.deepest) = (charge.quota, 0);
        }
        (used, rule)
    }

    /// Notes an answer; if `is_demand`, also what would be asked if nobody was refused.
    pub(super) fn decided(&mut self, charge: &Charge, now: Timestamp, is_demand: bool) {
        let refuses = u64::from(charge.answer.refuses());
        self.is_shadow = charge.shadow;
        self.decided += 1;
        self.refused += refuses;
        let (used, rule) = self.key(charge, now);
        used.decided += 1;
        used.refused += refuses;
        if is_demand {
            used.take(rule, now, charge.cost);
        }
    }

    /// Notes what is asked while nobody is refused.
    pub(super) fn granted(&mut self, charge: &Charge, now: Timestamp) {
        let (used, rule) = self.key(charge, now);
        used.take(rule, now, charge.cost);
    }

    /// Notes what is given back.
    pub(super) fn credited(&mut self, charge: &Charge, now: Timestamp) {
        if let (used, Some(rule)) = self.key(charge, now) {
            rule.give_back(&mut used.bottomless, now, charge.cost);
        }
    }

    /// The smallest burst with which `key` would not have been refused anything by this limit;
    /// `None` if the limit has no burst that can be computed.
    pub(in crate::replay) fn needed_by(&self, key: &KeyUse) -> Option<u64> {
        let rule = self.rules.get(key.quota)?.as_ref()?;
        Some(key.needed(rule))
    }

    /// For each quota under which the limit was asked: the number of its keys, and the smallest
    /// burst with which nobody would have been refused anything.
    pub(in crate::replay) fn quotas(&self) -> Vec<(Quota, u64, Option<u64>)> {
        let quotas = self.spec.quotas.iter().zip(&self.needed);
        let mut quotas: Vec<_> = quotas.map(|(quota, needed)| (*quota, 0, *needed)).collect();
        for (_, key) in &self.keys {
            if let Some((_, keys, needed)) = quotas.get_mut(key.quota) {
                *keys += 1;
                *needed = (*needed).max(self.needed_by(key).unwrap_or(0));
            }
        }
        let is_known = |rule: &Option<GreedyRefill>| rule.is_some();
        let known = self.rules.iter().map(is_known);
        let quotas = quotas.into_iter().zip(known);
        quotas
            .map(|((quota, keys, needed), known)| (quota, keys, known.then_some(needed)))
            .filter(|(_, keys, needed)| *keys > 0 || needed.is_some_and(|needed| needed > 0))
            .collect()
    }
}

impl KeyUse {
    fn take(&mut self, rule: Option<&GreedyRefill>, now: Timestamp, permits: u64) {
        if let Some(rule) = rule {
            rule.take(&mut self.bottomless, now, permits);
            self.deepest = self.deepest.max(rule.level(&self.bottomless, now).used_units);
        }
    }

    /// The whole permits in what was drawn down at the deepest.
    fn needed(&self, rule: &GreedyRefill) -> u64 {
        let permit = rule.level(&self.bottomless, Timestamp::ZERO).units_per_permit;
        let permits = if permit == 0 { 0 } else { self.deepest.div_ceil(permit.into()) };
        u64::try_from(permits).unwrap_or(u64::MAX)
    }
}
