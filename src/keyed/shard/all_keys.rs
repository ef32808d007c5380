//! Operations on all keys of a shard.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::Key;
use crate::keyed::shard::change_key::Sync;
use crate::keyed::shard::{Basis, Call, Hold, Kept, Plain, Shard, Special, SpecialState, Tiered};
use crate::keyed::terms::KeyTerms;
use crate::limiters::core::usage_of;
use crate::wakers::Wakers;
use crate::{CarryOver, Timestamp, Usage};

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Replaces the algorithm of all keys that have none of their own and are in no tier.
    pub(crate) fn set_default<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        rule: &A,
        how: CarryOver,
        sync: &mut Sync<'_, A>,
        wakers: &mut Wakers,
    ) {
        self.latest = self.latest.max(call.now);
        let now = self.latest;
        let old = Arc::clone(&self.basis);
        let new = Basis { is_as_built: false, ..Basis::new(rule.clone(), now, old.closed) };
        // Whatever could panic in foreign code runs first, then the change itself.
        let mut too_large = Vec::new();
        let mut carried = Vec::with_capacity(self.plain.len());
        for Plain { key, state: packed } in &mut self.plain {
            // A full bucket stays full, even with a carry-over that keeps the level, because the
            // key could just as well have been evicted.
            if packed.is_full(&old.rule, old.epoch, now) {
                carried.push(None);
                continue;
            }
            let state = packed.peek(&old.rule, old.epoch, now, |state| {
                rule.carry_over(&old.rule, state, now, how)
            });
            carried.push(if rule.full_at(&state, now) <= now {
                None
            } else {
                let packed = A::Packed::pack(rule, new.epoch, state);
                let own = KeyTerms::default();
                packed.map_err(|state| too_large.push((key.clone(), own, state))).ok()
            });
        }
        // The states of tiered keys stay as they are, but relative to the new epoch.
        let mut moved = Vec::with_capacity(self.tiered.len());
        for Tiered { key, state: packed, tier } in &mut self.tiered {
            let of_tier = tier.rule_or(&old.rule);
            if packed.is_full(of_tier, old.epoch, now) {
                moved.push(None);
                continue;
            }
            let state = packed.peek(of_tier, old.epoch, now, A::State::clone);
            let packed = A::Packed::pack(of_tier, new.epoch, state);
            let own = KeyTerms { tier: Some(Arc::clone(tier)), ..KeyTerms::default() };
            moved.push(packed.map_err(|state| too_large.push((key.clone(), own, state))).ok());
        }
        self.special.reserve(too_large.len(), |special| call.hasher.hash_one(&special.key));
        let too_large: Vec<_> = too_large
            .into_iter()
            .map(|(key, own, state)| (call.hasher.hash_one(&key), key, own, state))
            .collect();
        let mut carried = carried.into_iter();
        self.plain.retain(|plain| match carried.next().flatten() {
            Some(state) => {
                plain.state = state;
                true
            }
            None => false,
        });
        let mut moved = moved.into_iter();
        self.tiered.retain(|tiered| match moved.next().flatten() {
            Some(state) => {
                tiered.state = state;
                true
            }
            None => false,
        });
        for Special { kept, state, .. } in &mut self.special {
            match state {
                _ if kept.own.rule().is_some() => {}
                SpecialState::Idle(state) if old.rule.full_at(state, now) <= now => {
                    *state = rule.start(now, 0);
                }
                SpecialState::Idle(state) => *state = rule.carry_over(&old.rule, state, now, how),
                SpecialState::Busy(core) => {
                    sync(core, now, wakers);
                    core.set_rule(now, rule.clone(), how, wakers);
                    sync(core, now, wakers);
                }
                SpecialState::Lent => {}
            }
        }
        for (hash, key, own, state) in too_large {
            let special = Special { key, kept: Kept::of(own), state: SpecialState::Idle(state) };
            self.special.insert_unique(hash, special, |special| call.hasher.hash_one(&special.key));
        }
        self.basis = Arc::new(new);
        self.scratch = None;
    }

    /// Rejects all requests from now on, beginning with the waiters.
    pub(crate) fn close(&mut self, now: Timestamp, sync: &mut Sync<'_, A>, wakers: &mut Wakers) {
        for special in &mut self.special {
            if let SpecialState::Busy(core) = &mut special.state {
                sync(core, now, wakers);
                core.close(now, wakers);
                sync(core, now, wakers);
            }
        }
        let old = &self.basis;
        self.basis = Arc::new(Basis { closed: true, ..old.since(old.epoch) });
    }

    /// Evicts all keys except those whose terms were set explicitly. Waiters are served as if the
    /// buckets had been refilled.
    pub(crate) fn clear(&mut self, now: Timestamp, sync: &mut Sync<'_, A>, wakers: &mut Wakers) {
        self.latest = self.latest.max(now);
        let now = self.latest;
        let basis = Arc::clone(&self.basis);
        self.plain = hashbrown::HashTable::new();
        self.tiered = hashbrown::HashTable::new();
        self.offenders.forget();
        self.special.retain(|special| match &mut special.state {
            SpecialState::Busy(core) => {
                sync(core, now, wakers);
                core.reset(now, wakers);
                true
            }
            SpecialState::Idle(state) if special.kept.is_held(now) => {
                *state = basis.rule_of(&special.kept.own).start(now, 0);
                true
            }
            SpecialState::Idle(_) | SpecialState::Lent => false,
        });
        self.recount();
    }

    /// Each key with its usage.
    pub(crate) fn usages(
        &mut self,
        now: Timestamp,
        sync: &mut Sync<'_, A>,
        wakers: &mut Wakers,
    ) -> Vec<(K, Usage)> {
        self.latest = self.latest.max(now);
        let (basis, now) = (&*self.basis, self.latest);
        let mut usages = Vec::with_capacity(self.len());
        for plain in &mut self.plain {
            let look = |state: &A::State| usage_of(&basis.rule, state, now);
            let usage = plain.state.peek(&basis.rule, basis.epoch, now, look);
            usages.push((plain.key.clone(), usage));
        }
        for Tiered { key, state, tier } in &mut self.tiered {
            let rule = tier.rule_or(&basis.rule);
            let usage = state.peek(rule, basis.epoch, now, |state| usage_of(rule, state, now));
            usages.push((key.clone(), usage));
        }
        for special in &mut self.special {
            let usage = match &mut special.state {
                SpecialState::Idle(state) => usage_of(basis.rule_of(&special.kept.own), state, now),
                SpecialState::Busy(core) => {
                    sync(core, now, wakers);
                    let usage = core.usage(now, wakers);
                    Usage { allowed: 0, denied: 0, ..usage }
                }
                SpecialState::Lent => continue,
            };
            usages.push((special.key.clone(), usage));
        }
        usages
    }

    /// The keys whose terms were not set explicitly.
    pub(crate) fn keys_without_manual_terms(&self) -> Vec<K> {
        let special = self.special.iter().filter(|special| special.kept.hold != Hold::Always);
        let plain = self.plain.iter().map(|plain| plain.key.clone());
        let tiered = self.tiered.iter().map(|tiered| tiered.key.clone());
        plain.chain(tiered).chain(special.map(|special| special.key.clone())).collect()
    }
}
