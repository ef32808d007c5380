//! One shard: some of the keys under one lock, which is the lock of all their buckets.
//!
//! A key is in one of three tables, or in none. *Plain* ones take a key and a packed state, and go by
//! what applies to all. *Tiered* ones take a pointer more, to the quota that their last request brought
//! along. *Special* ones have terms of their own, somebody waiting, or a state that does not fit. A key
//! in none is full.
//!
//! There is one way to a verb: [`act`](Shard::act) puts the key's state into a core, the same that
//! every limiter has, lets the verb run on it, and puts the state where it then belongs. Rules and
//! keys may be foreign code. Should it panic, the state goes back to where it was (`lend.rs`), and
//! the shard is counted anew (`locked.rs`).

use std::hash::BuildHasher;
use std::mem;
use std::sync::Arc;

use hashbrown::HashTable;

use super::key::{Key, KeyRef};
use super::refused::Refused;
use super::sweep::Cursors;
use super::terms::{Applied, Own};
use crate::algorithm::{Algorithm, Packed};
use crate::bucket::core::Core;
use crate::{Rejection, Timestamp};

/// What a decision about a plain key touches comes first: one cache line with the lock before it.
#[repr(C)]
pub(super) struct Shard<K, A: Algorithm> {
    pub(super) plain: HashTable<Plain<K, A>>,
    pub(super) basis: Arc<Basis<A>>,
    /// The newest time seen; an older one counts as this one.
    pub(super) latest: Timestamp,
    pub(super) allowed: u64,
    pub(super) denied: u64,
    /// The highest number of a grant that may be given back, of all keys: a key that comes back has
    /// higher ones.
    pub(super) next_receipt: u64,
    pub(super) special: HashTable<Special<K, A>>,
    pub(super) tiered: HashTable<Tiered<K, A>>,
    /// How many of them do not count against a bound on the keys.
    pub(super) uncounted: usize,
    /// Reserved places that its keys have taken since it was locked.
    pub(super) adopted: usize,
    /// The key that was in use last is to count from now on, if there is room for it.
    pub(super) unplaced: bool,
    pub(super) refused: Refused<K>,
    pub(super) cursors: Cursors,
    /// A core that is used again and again, and the terms whose rule it has.
    pub(super) scratch: Option<(Own<A>, Box<Core<A>>)>,
}

/// What applies to all keys of a shard; shared by shards while it is the same.
#[derive(Debug)]
pub(super) struct Basis<A> {
    pub(super) rule: A,
    /// What packed states are relative to, and how long they can be.
    pub(super) epoch: Timestamp,
    pub(super) good_until: Timestamp,
    pub(super) closed: bool,
    /// Whether the rule is the one that the limiter was built with.
    pub(super) is_as_built: bool,
}

pub(super) struct Plain<K, A: Algorithm> {
    pub(super) key: K,
    pub(super) state: A::Packed,
}

pub(super) struct Tiered<K, A: Algorithm> {
    pub(super) key: K,
    pub(super) state: A::Packed,
    pub(super) tier: Arc<Applied<A>>,
}

pub(super) struct Special<K, A: Algorithm> {
    pub(super) key: K,
    pub(super) kept: Kept<A>,
    pub(super) cell: Cell<A>,
}

/// What is kept of a key beside its state.
#[derive(Debug)]
pub(super) struct Kept<A> {
    pub(super) own: Own<A>,
    pub(super) hold: Hold,
    /// Whether it counts against a bound on the keys.
    pub(super) counted: bool,
}

/// Whether a key stays even if its bucket is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    No,
    /// As long as it is blocked: that was set by hand, and ends by itself.
    WhileBlocked,
    /// Its terms were set by hand.
    Always,
}

#[derive(Debug)]
pub(super) enum Cell<A: Algorithm> {
    Idle(A::State),
    /// Somebody waits, or has an outcome to fetch.
    Busy(Box<Core<A>>),
    /// In use by `act` just now.
    Lent,
}

impl<A: Algorithm> Cell<A> {
    /// The core, or just its state if that is all there is to it.
    pub(super) fn of(core: Box<Core<A>>) -> Self {
        if core.is_at_rest() { Self::Idle(core.state) } else { Self::Busy(core) }
    }
}

/// Where a key is.
#[derive(Debug)]
pub(super) enum At<A> {
    Plain(usize),
    Tiered(usize),
    Special(usize),
    /// Nowhere yet, and its terms.
    New(Own<A>),
    /// Nowhere, and there is no room for it; and its terms.
    NoRoom(Rejection, Own<A>),
}

/// What a shard needs to know from outside.
#[derive(Debug)]
pub(super) struct Call<'a, S> {
    pub(super) hash: u64,
    pub(super) now: Timestamp,
    pub(super) hasher: &'a S,
    pub(super) max_waiters: usize,
    /// Whether a new key may come in just so: no bound, and nothing to ask about it.
    pub(super) newcomers: bool,
}

impl<A: Algorithm> Basis<A> {
    pub(super) fn new(rule: A, epoch: Timestamp, closed: bool) -> Self {
        let good_until = A::Packed::good_until(&rule, epoch);
        Self { rule, epoch, good_until, closed, is_as_built: true }
    }

    /// The same rule, of which packed states are relative to `epoch`.
    pub(super) fn since(&self, epoch: Timestamp) -> Self {
        Self { is_as_built: self.is_as_built, ..Self::new(self.rule.clone(), epoch, self.closed) }
    }

    pub(super) fn rule_of<'a>(&'a self, own: &'a Own<A>) -> &'a A {
        own.rule().unwrap_or(&self.rule)
    }
}

impl<A> Kept<A> {
    /// What is kept of a key that nothing was set for.
    pub(super) fn of(own: Own<A>) -> Self {
        Self { own, hold: Hold::No, counted: true }
    }

    /// Whether the key stays at `now` even if its bucket is full.
    pub(super) fn is_held(&self, now: Timestamp) -> bool {
        match self.hold {
            Hold::No => false,
            Hold::WhileBlocked => now < self.own.blocked_until,
            Hold::Always => true,
        }
    }
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    pub(super) fn new(basis: Arc<Basis<A>>, capacity: usize) -> Self {
        let mut plain = HashTable::new();
        // Only a hint: without that much memory, it grows as keys come.
        let _ = plain.try_reserve(capacity, |_| 0);
        Self {
            plain,
            latest: basis.epoch,
            basis,
            allowed: 0,
            denied: 0,
            next_receipt: 0,
            special: HashTable::new(),
            tiered: HashTable::new(),
            uncounted: 0,
            adopted: 0,
            unplaced: false,
            refused: Refused::default(),
            cursors: Cursors::default(),
            scratch: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.tiered.len() + self.special.len()
    }

    /// The keys that count against a bound: those that came by themselves.
    pub(super) fn bounded(&self) -> usize {
        self.len() - self.uncounted
    }

    /// Counts anew what a panic may have left uncounted.
    pub(super) fn recount(&mut self) {
        self.unplaced = false;
        self.uncounted = self.special.iter().filter(|special| !special.kept.counted).count();
    }

    pub(super) fn find<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<At<A>> {
        let plain = self.plain.find_bucket_index(hash, |plain| key.equivalent(&plain.key));
        plain.map(At::Plain).or_else(|| self.find_tiered(hash, key).map(At::Tiered)).or_else(|| {
            let same = |special: &Special<K, A>| key.equivalent(&special.key);
            self.special.find_bucket_index(hash, same).map(At::Special)
        })
    }

    /// Where the key is in the table of tiers; costs nothing while that is empty.
    #[inline]
    pub(super) fn find_tiered<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<usize> {
        if self.tiered.is_empty() {
            return None;
        }
        self.tiered.find_bucket_index(hash, |tiered| key.equivalent(&tiered.key))
    }

    /// Adds to the shard's counts; `limited` says whether a denial was for want of permits.
    pub(super) fn count<Q: KeyRef<K> + ?Sized>(
        &mut self,
        hash: u64,
        key: &Q,
        (allowed, denied): (u64, u64),
        limited: bool,
    ) {
        self.allowed = self.allowed.wrapping_add(allowed);
        if denied > 0 {
            self.denied = self.denied.saturating_add(denied);
            if limited {
                self.refused.count(hash, denied, || key.to_key());
            }
        }
    }

    pub(super) fn own_of(&self, at: &At<A>) -> Own<A> {
        match at {
            At::Special(index) => {
                let special = self.special.get_bucket(*index);
                special.map(|special| special.kept.own.clone()).unwrap_or_default()
            }
            At::Tiered(index) => {
                let tier = self.tiered.get_bucket(*index).map(|tiered| Arc::clone(&tiered.tier));
                Own { tier, ..Own::default() }
            }
            At::New(own) | At::NoRoom(_, own) => own.clone(),
            At::Plain(_) => Own::default(),
        }
    }

    /// The packed state of a key that has one, and its rule.
    pub(super) fn packed_mut(&mut self, at: &At<A>) -> Option<(&mut A::Packed, &A)> {
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

    /// Takes the key of a packed state out of its table.
    pub(super) fn remove_packed(&mut self, at: &At<A>) -> Option<K> {
        match at {
            At::Plain(index) => Some(self.plain.get_bucket_entry(*index).ok()?.remove().0.key),
            At::Tiered(index) => Some(self.tiered.get_bucket_entry(*index).ok()?.remove().0.key),
            At::Special(_) | At::New(_) | At::NoRoom(..) => None,
        }
    }

    /// Makes room for one more packed state under `own` terms.
    pub(super) fn reserve_packed<S: BuildHasher>(&mut self, call: &Call<'_, S>, own: &Own<A>) {
        if own.tier.is_some() {
            self.tiered.reserve(1, |tiered| call.hasher.hash_one(&tiered.key));
        } else {
            self.plain.reserve(1, |plain| call.hasher.hash_one(&plain.key));
        }
    }

    /// Puts a packed state into the table that `own` terms say.
    pub(super) fn insert_packed<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        key: K,
        own: &Own<A>,
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

    pub(super) fn is_full(&self, core: &Core<A>) -> bool {
        core.rest.rule.full_at(&core.state, self.latest) <= self.latest
    }

    /// Puts a core that is in no table where it belongs.
    pub(super) fn put<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        to_key: impl FnOnce() -> K,
        kept: Kept<A>,
        mut core: Box<Core<A>>,
        full: bool,
    ) {
        if !core.is_at_rest() {
            self.insert_special(call, Special { key: to_key(), kept, cell: Cell::Busy(core) });
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
                    self.insert_special(call, Special { key, kept, cell: Cell::Idle(state) });
                }
            }
            self.sweep_a_little(call.hasher);
        }
        self.scratch = Some((own, core));
    }

    pub(super) fn insert_special<S: BuildHasher>(
        &mut self,
        call: &Call<'_, S>,
        special: Special<K, A>,
    ) {
        let uncounted = usize::from(!special.kept.counted);
        let hasher = |special: &Special<K, A>| call.hasher.hash_one(&special.key);
        self.special.insert_unique(call.hash, special, hasher);
        // Not before: a key's `Hash` may panic.
        self.uncounted += uncounted;
    }

    /// Takes a special key out.
    pub(super) fn remove_special(&mut self, index: usize) -> Option<Special<K, A>> {
        let special = self.special.get_bucket_entry(index).ok()?.remove().0;
        self.uncounted -= usize::from(!special.kept.counted);
        Some(special)
    }

    /// Packs a state under `own` terms, relative to a new epoch if it must be.
    pub(super) fn pack(&mut self, own: &Own<A>, state: A::State) -> Result<A::Packed, A::State> {
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

    /// Whether the special key at `index` is to count from now on, and does not yet.
    pub(super) fn needs_place(&self, index: usize, now: Timestamp) -> bool {
        self.uncounted > 0
            && self.special.get_bucket(index).is_some_and(|special| {
                let kept = &special.kept;
                matches!(special.cell, Cell::Idle(_)) && !kept.counted && !kept.is_held(now)
            })
    }

    /// Counts a special key that did not count before.
    pub(super) fn count_special(&mut self, index: usize) {
        if let Some(special) = self.special.get_bucket_mut(index) {
            if !mem::replace(&mut special.kept.counted, true) {
                self.uncounted -= 1;
            }
        }
    }
}
