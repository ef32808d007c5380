//! Finding, inserting, moving and removing keys in a shard's three tables.

use std::hash::BuildHasher;
use std::mem;
use std::sync::Arc;

use crate::Timestamp;
use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Call, Kept, Plain, Shard, Special, SpecialState, Tiered};
use crate::keyed::terms::KeyTerms;
use crate::limiters::core::Core;

impl<K: Key, A: Algorithm> Shard<K, A> {
    pub(crate) fn find<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<At<A>> {
        let plain = self.plain.find_bucket_index(hash, |plain| key.equivalent(&plain.key));
        plain.map(At::Plain).or_else(|| self.find_tiered(hash, key).map(At::Tiered)).or_else(|| {
            let same = |special: &Special<K, A>| key.equivalent(&special.key);
            self.special.find_bucket_index(hash, same).map(At::Special)
        })
    }

    /// The index of the key in the table of tiered keys. Costs nothing while that table is empty.
    #[inline]
    pub(crate) fn find_tiered<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize> {
        if self.tiered.is_empty() {
            return None;
        }
        self.tiered.find_bucket_index(hash, |tiered| key.equivalent(&tiered.key))
    }

    pub(crate) fn own_of(&self, at: &At<A>) -> KeyTerms<A> {
        match at {
            At::Special(index) => {
                let special = self.special.get_bucket(*index);
                special.map(|special| special.kept.own.clone()).unwrap_or_default()
            }
            At::Tiered(index) => {
                let tier = self.tiered.get_bucket(*index).map(|tiered| Arc::clone(&tiered.tier));
                KeyTerms { tier, ..KeyTerms::default() }
            }
            At::New(own) | At::NoRoom(_, own) => own.clone(),
            At::Plain(_) => KeyTerms::default(),
        }
    }

    /// The packed state of the key, if it has one, and its algorithm.
    pub(crate) fn packed_mut(&mut self, at: &At<A>) -> Option<(&mut A::Packed, &A)> {
        let rule = &self.basis.rule;
        match at {
            At::Plain(index) => {
                self.plain.get_bucket_mut(*index).map(|plain| (&mut plain.state, rule))
            }
            At::Tiered(index) => self.tiered.get_bucket_mut(*index).map(|tiered| {
                let Tiered { state, tier, .. } = tiered;
                (state, tier.rule_or(rule))
            }),
            At::Special(_) | At::New(_) | At::NoRoom(..) => None,
        }
    }

    /// Removes an entry with a packed state, and returns its key.
    pub(crate) fn remove_packed(&mut self, at: &At<A>) -> Option<K> {
        match at {
            At::Plain(index) => Some(self.plain.get_bucket_entry(*index).ok()?.remove().0.key),
            At::Tiered(index) => Some(self.tiered.get_bucket_entry(*index).ok()?.remove().0.key),
            At::Special(_) | At::New(_) | At::NoRoom(..) => None,
        }
    }

    /// Reserves memory for one more packed state under the terms `own`.
    pub(crate) fn reserve_packed<S: BuildHasher>(&mut self, call: &Call<'_, S>, own: &KeyTerms<A>) {
        if own.tier.is_some() {
            self.tiered.reserve(1, |tiered| call.hasher.hash_one(&tiered.key));
        } else {
            self.plain.reserve(1, |plain| call.hasher.hash_one(&plain.key));
        }
    }

    /// Inserts a packed state into the table for the terms `own`.
    pub(crate) fn insert_packed<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        key: K,
        own: &KeyTerms<A>,
        state: A::Packed,
    ) {
        if let Some(tier) = &own.tier {
            let hasher = |tiered: &Tiered<K, A>| call.hasher.hash_one(&tiered.key);
            let tiered = Tiered { key, state, tier: Arc::clone(tier) };
            self.tiered.insert_unique(call.hash, tiered, hasher);
        } else {
            let hasher = |plain: &Plain<K, A>| call.hasher.hash_one(&plain.key);
            self.plain.insert_unique(call.hash, Plain { key, state }, hasher);
        }
    }

    /// Stores the state of a key that is in no table.
    pub(crate) fn put<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        to_key: impl FnOnce() -> K,
        kept: Kept<A>,
        mut core: Box<Core<A>>,
        full: bool,
    ) {
        if !core.is_at_rest() {
            self.insert_special(
                call,
                Special { key: to_key(), kept, state: SpecialState::Busy(core) },
            );
            return;
        }
        let own = kept.own.clone();
        let held = kept.is_held(self.latest);
        if held || !full {
            let fresh = core.rest.rule.start(self.latest, 0);
            let key = to_key();
            let state = mem::replace(&mut core.state, fresh);
            let packs = !held && own.is_default(self.latest);
            let state = if packs { self.pack(&own, state) } else { Err(state) };
            match state {
                Ok(state) => self.insert_packed(call, key, &own, state),
                Err(state) => {
                    self.insert_special(
                        call,
                        Special { key, kept, state: SpecialState::Idle(state) },
                    );
                }
            }
            self.sweep_on_insert(call.hasher);
        }
        self.scratch = Some((own, core));
    }

    pub(crate) fn insert_special<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        special: Special<K, A>,
    ) {
        let uncounted = usize::from(!special.kept.counted);
        let hasher = |special: &Special<K, A>| call.hasher.hash_one(&special.key);
        self.special.insert_unique(call.hash, special, hasher);
        // Counted last, because a key's `Hash` may panic.
        self.uncounted += uncounted;
    }

    /// Removes a special key.
    pub(crate) fn remove_special(&mut self, index: usize) -> Option<Special<K, A>> {
        let special = self.special.get_bucket_entry(index).ok()?.remove().0;
        self.uncounted -= usize::from(!special.kept.counted);
        Some(special)
    }

    /// Packs a state under the terms `own`, with a new epoch if needed.
    pub(crate) fn pack(
        &mut self,
        own: &KeyTerms<A>,
        state: A::State,
    ) -> Result<A::Packed, A::State> {
        let basis = &*self.basis;
        let rule = basis.rule_of(own);
        let state = match A::Packed::pack(rule, basis.epoch, state) {
            Ok(packed) => return Ok(packed),
            Err(state) => state,
        };
        let good_until = match own.tier {
            Some(_) => A::Packed::good_until(rule, basis.epoch),
            None => basis.good_until,
        };
        if self.latest < good_until {
            return Err(state);
        }
        self.renew_epoch();
        A::Packed::pack(self.basis.rule_of(own), self.basis.epoch, state)
    }

    /// Whether the special key at `index` must be counted from now on, and is not yet.
    pub(crate) fn lacks_slot(&self, index: usize, now: Timestamp) -> bool {
        self.uncounted > 0
            && self.special.get_bucket(index).is_some_and(|special| {
                let kept = &special.kept;
                matches!(special.state, SpecialState::Idle(_))
                    && !kept.counted
                    && !kept.is_held(now)
            })
    }

    /// Counts a special key that did not count before.
    pub(crate) fn count_special(&mut self, index: usize) {
        if let Some(special) = self.special.get_bucket_mut(index) {
            if !mem::replace(&mut special.kept.counted, true) {
                self.uncounted -= 1;
            }
        }
    }
}
