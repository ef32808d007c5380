//! What is done to all keys of a shard, or to what applies to one.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::{At, Basis, Call, Cell, Hold, Kept, Plain, Shard, Special, Tiered};
use crate::keyed::terms::Own;
use crate::limiters::core::{Core, usage_of};
use crate::wait::queue::Wakers;
use crate::{CarryOver, Rejection, Timestamp, Usage};

/// What shall apply to a key from now on.
#[derive(Debug)]
pub(crate) struct Change<A> {
    pub(crate) own: Own<A>,
    pub(crate) hold: Hold,
    pub(crate) how: CarryOver,
    /// Makes the bucket full, too.
    pub(crate) reset: bool,
}

/// Has a core learn how its waiters stand that wait for everybody's limit too, and ends the waits that have no hope
/// any more: to be called before a change, and after it.
pub(crate) type Sync<'a, A> = dyn FnMut(&mut Core<A>, Timestamp, &mut Wakers) + 'a;

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// Changes what applies to the key at `at`.
    pub(crate) fn change<Q, S>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        at: &At<A>,
        change: Change<A>,
        sync: &mut Sync<'_, A>,
        wakers: &mut Wakers,
    ) where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        self.latest = self.latest.max(call.now);
        let Change { own, hold, how, reset } = change;
        let before = self.own_of(at);
        let moves = matches!(at, At::Plain(_) | At::Tiered(_)) && !before.is_in_tier_of(&own);
        // Whatever could panic, first.
        let spare = if moves {
            self.reserve_special(call);
            if before.tier.is_some() != own.tier.is_some() {
                self.reserve_packed(call, &own);
            }
            Some(self.basis.rule_of(&own).start(self.latest, 0))
        } else {
            None
        };
        let core = self.lend(call, at, &before);
        let (basis, now) = (Arc::clone(&self.basis), self.latest);
        let refusal = if basis.closed { Some(Rejection::Closed) } else { own.refusal(now) };
        let act = |core: &mut Core<A>| {
            sync(core, now, wakers);
            if reset {
                core.reset(now, wakers);
            }
            core.set_rule(now, basis.rule_of(&own).clone(), how, wakers);
            match refusal {
                Some(why) => core.shut(now, why, wakers),
                None => core.resume(now, None),
            }
            sync(core, now, wakers);
        };
        let ((), mut core, full) = self.run(call, at, core, act);
        self.count(call.hash, key, core.take_counts(), false);
        // A block for a while leaves a key the place that it has; one without is blocked all the
        // same. Terms that stay free the place.
        let known = match at {
            At::Plain(_) | At::Tiered(_) => true,
            At::Special(index) => {
                self.special.get_bucket(*index).is_some_and(|special| special.kept.counted)
            }
            At::New(_) | At::NoRoom(..) => hold == Hold::No,
        };
        let kept = Kept { own, hold, counted: known && hold != Hold::Always };
        match at {
            At::Plain(_) | At::Tiered(_) => {
                let packs = !kept.is_held(now) && kept.own.is_default(now);
                if (full && !kept.is_held(now)) || (packs && spare.is_none()) {
                    return self.end_packed(call, at, &kept.own, core, full);
                }
                self.reserve_special(call);
                let Some(key) = self.remove_packed(at) else { return };
                match spare.filter(|_| packs && core.is_at_rest()) {
                    Some(spare) => self.insert_anew(call, key, kept, core, spare),
                    None => self.insert_special(call, Special { key, kept, cell: Cell::of(core) }),
                }
            }
            At::Special(index) => {
                if let Some(special) = self.special.get_bucket_mut(*index) {
                    self.uncounted -= usize::from(!special.kept.counted);
                    self.uncounted += usize::from(!kept.counted);
                    special.kept = kept;
                    self.end_special(call, *index, core, full);
                }
            }
            At::New(_) | At::NoRoom(..) => self.put(call, || key.to_key(), kept, core, full),
        }
    }

    /// Puts a key back that was plain or in a tier, into the table where it now belongs.
    #[allow(clippy::boxed_local, reason = "a core is kept and handed on in its box")]
    fn insert_anew<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        key: K,
        kept: Kept<A>,
        mut core: Box<Core<A>>,
        spare: A::State,
    ) {
        let state = std::mem::replace(&mut core.state, spare);
        match self.pack(&kept.own, state) {
            Ok(state) => self.insert_packed(call, key, &kept.own, state),
            Err(state) => {
                let own = kept.own.clone();
                self.insert_special(call, Special { key, kept, cell: Cell::Idle(state) });
                self.scratch = Some((own, core));
                return;
            }
        }
        self.scratch = Some((kept.own, core));
    }

    /// Replaces the rule of all keys that have none of their own and are in no tier.
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
        // First whatever foreign code could panic in, then the change itself.
        let mut too_large = Vec::new();
        let mut carried = Vec::with_capacity(self.plain.len());
        for Plain { key, state: packed } in &mut self.plain {
            // Gone or not, a full bucket stays full: also where a level as such would be kept.
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
                let own = Own::default();
                packed.map_err(|state| too_large.push((key.clone(), own, state))).ok()
            });
        }
        // Those in a tier stay as they are, but relative to the new epoch.
        let mut moved = Vec::with_capacity(self.tiered.len());
        for Tiered { key, state: packed, tier } in &mut self.tiered {
            let of_tier = tier.rule_or(&old.rule);
            if packed.is_full(of_tier, old.epoch, now) {
                moved.push(None);
                continue;
            }
            let state = packed.peek(of_tier, old.epoch, now, A::State::clone);
            let packed = A::Packed::pack(of_tier, new.epoch, state);
            let own = Own { tier: Some(Arc::clone(tier)), ..Own::default() };
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
        for Special { kept, cell, .. } in &mut self.special {
            match cell {
                _ if kept.own.rule().is_some() => {}
                Cell::Idle(state) if old.rule.full_at(state, now) <= now => {
                    *state = rule.start(now, 0);
                }
                Cell::Idle(state) => *state = rule.carry_over(&old.rule, state, now, how),
                Cell::Busy(core) => {
                    sync(core, now, wakers);
                    core.set_rule(now, rule.clone(), how, wakers);
                    sync(core, now, wakers);
                }
                Cell::Lent => {}
            }
        }
        for (hash, key, own, state) in too_large {
            let special = Special { key, kept: Kept::of(own), cell: Cell::Idle(state) };
            self.special.insert_unique(hash, special, |special| call.hasher.hash_one(&special.key));
        }
        self.basis = Arc::new(new);
        self.scratch = None;
    }

    /// Refuses everybody from now on, those who wait first.
    pub(crate) fn close(&mut self, now: Timestamp, sync: &mut Sync<'_, A>, wakers: &mut Wakers) {
        for special in &mut self.special {
            if let Cell::Busy(core) = &mut special.cell {
                sync(core, now, wakers);
                core.close(now, wakers);
                sync(core, now, wakers);
            }
        }
        let old = &self.basis;
        self.basis = Arc::new(Basis { closed: true, ..old.since(old.epoch) });
    }

    /// Forgets all keys but those whose terms were set by hand. Who waits is served as if all
    /// permits were there again.
    pub(crate) fn clear(&mut self, now: Timestamp, sync: &mut Sync<'_, A>, wakers: &mut Wakers) {
        self.latest = self.latest.max(now);
        let now = self.latest;
        let basis = Arc::clone(&self.basis);
        self.plain = hashbrown::HashTable::new();
        self.tiered = hashbrown::HashTable::new();
        self.refused.forget();
        self.special.retain(|special| match &mut special.cell {
            Cell::Busy(core) => {
                sync(core, now, wakers);
                core.reset(now, wakers);
                true
            }
            Cell::Idle(state) if special.kept.is_held(now) => {
                *state = basis.rule_of(&special.kept.own).start(now, 0);
                true
            }
            Cell::Idle(_) | Cell::Lent => false,
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
            let usage = match &mut special.cell {
                Cell::Idle(state) => usage_of(basis.rule_of(&special.kept.own), state, now),
                Cell::Busy(core) => {
                    sync(core, now, wakers);
                    let usage = core.usage(now, wakers);
                    Usage { allowed: 0, denied: 0, ..usage }
                }
                Cell::Lent => continue,
            };
            usages.push((special.key.clone(), usage));
        }
        usages
    }

    /// The keys whose terms were not set by hand.
    pub(crate) fn keys_not_set_by_hand(&self) -> Vec<K> {
        let special = self.special.iter().filter(|special| special.kept.hold != Hold::Always);
        let plain = self.plain.iter().map(|plain| plain.key.clone());
        let tiered = self.tiered.iter().map(|tiered| tiered.key.clone());
        plain.chain(tiered).chain(special.map(|special| special.key.clone())).collect()
    }

    /// What is kept of the key beside its state: whether it is held, until when it is blocked, and
    /// whether it counts.
    pub(crate) fn kept_of(&self, at: &At<A>) -> Kept<A> {
        match at {
            At::Special(index) => self.special.get_bucket(*index).map_or_else(
                || Kept::of(Own::default()),
                |special| {
                    let Kept { own, hold, counted } = &special.kept;
                    Kept { own: own.clone(), hold: *hold, counted: *counted }
                },
            ),
            At::New(own) | At::NoRoom(_, own) => Kept::of(own.clone()),
            At::Plain(_) | At::Tiered(_) => Kept::of(self.own_of(at)),
        }
    }
}
