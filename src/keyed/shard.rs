//! One shard: some of the keys under one lock, which is the lock of all their buckets.
//!
//! A key is in one of two tables, or in none. *Plain* ones take a key and a packed state, and go by
//! what applies to all. *Special* ones have terms of their own, somebody waiting, or a state that
//! does not fit. A key in neither is full.
//!
//! There is one way to a verb: [`act`](Shard::act) puts the key's state into a core, the same that
//! every limiter has, lets the verb run on it, and puts the state where it then belongs.

use std::hash::BuildHasher;
use std::mem;
use std::sync::Arc;

use hashbrown::HashTable;

use super::key::{Key, KeyRef};
use super::refused::Refused;
use super::sweep::Cursors;
use super::terms::{Applied, Own, Terms};
use crate::algorithm::{Algorithm, Packed, restart_if_full};
use crate::bucket::core::Core;
use crate::wait::queue::Wakers;
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
    /// The highest number of a grant that may be given back, of all keys: a key that comes back has higher ones.
    pub(super) next_receipt: u64,
    pub(super) special: HashTable<Special<K, A>>,
    /// How many of them have terms that were set by hand.
    pub(super) pinned: usize,
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
}

pub(super) struct Plain<K, A: Algorithm> {
    pub(super) key: K,
    pub(super) state: A::Packed,
}

pub(super) struct Special<K, A: Algorithm> {
    pub(super) key: K,
    pub(super) own: Own<A>,
    /// Its terms were set by hand: it stays, even if it is full.
    pub(super) pinned: bool,
    pub(super) cell: Cell<A>,
}

#[derive(Debug)]
pub(super) enum Cell<A: Algorithm> {
    Idle(A::State),
    /// Somebody waits, or has an outcome to fetch.
    Busy(Box<Core<A>>),
    /// In use by `act` just now.
    Lent,
}

/// Where a key is.
#[derive(Debug)]
pub(super) enum At<A> {
    Plain(usize),
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
        Self { rule, epoch, good_until, closed }
    }

    pub(super) fn rule_of<'a>(&'a self, own: Option<&'a Arc<Applied<A>>>) -> &'a A {
        own.and_then(|own| own.rule.as_ref()).unwrap_or(&self.rule)
    }
}

#[allow(clippy::unnecessary_box_returns, reason = "a core is kept and handed on in its box")]
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
            pinned: 0,
            refused: Refused::default(),
            cursors: Cursors::default(),
            scratch: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.plain.len() + self.special.len()
    }

    /// The keys that count against a bound: those that came by themselves.
    pub(super) fn bounded(&self) -> usize {
        self.len() - self.pinned
    }

    pub(super) fn find<Q: KeyRef<K> + ?Sized>(&self, hash: u64, key: &Q) -> Option<At<A>> {
        let plain = self.plain.find_bucket_index(hash, |plain| key.equivalent(&plain.key));
        plain.map(At::Plain).or_else(|| {
            let same = |special: &Special<K, A>| key.equivalent(&special.key);
            self.special.find_bucket_index(hash, same).map(At::Special)
        })
    }

    /// Runs `verb` on the key's core.
    pub(super) fn act<Q, S, R>(
        &mut self,
        call: &Call<'_, S>,
        key: &Q,
        at: At<A>,
        wakers: &mut Wakers,
        verb: impl FnOnce(&mut Core<A>, Terms, &mut Wakers) -> R,
    ) -> R
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        self.latest = self.latest.max(call.now);
        let mut core = self.lend(call, &at);
        let terms = self.own_of(&at).map(|own| own.terms).unwrap_or_default();
        let result = verb(&mut core, terms, wakers);
        let (limited, counts) = (!core.is_shut(), core.take_counts());
        self.latest = self.latest.max(core.latest());
        self.next_receipt = self.next_receipt.max(core.rest.next_receipt);
        self.take_back(call, key, at, core);
        // Last, because it may copy the key: should that panic, nobody's wait is lost.
        self.count(call.hash, key, counts, limited);
        result
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

    pub(super) fn own_of<'a>(&'a self, at: &'a At<A>) -> Option<&'a Arc<Applied<A>>> {
        match at {
            At::Special(index) => self.special.get_bucket(*index)?.own.as_ref(),
            At::New(own) | At::NoRoom(_, own) => own.as_ref(),
            At::Plain(_) => None,
        }
    }

    /// The core of the key: its own, or the scratch one with its state.
    pub(super) fn lend<S>(&mut self, call: &Call<'_, S>, at: &At<A>) -> Box<Core<A>> {
        if let At::Special(index) = at
            && let Some(special) = self.special.get_bucket_mut(*index)
            && let Cell::Busy(_) = special.cell
            && let Cell::Busy(mut core) = mem::replace(&mut special.cell, Cell::Lent)
        {
            core.see(self.latest);
            core.rest.next_receipt = core.rest.next_receipt.max(self.next_receipt);
            return core;
        }
        let own = self.own_of(at).cloned();
        let mut core = self.scratch(call, own.as_ref());
        let (basis, now) = (&*self.basis, self.latest);
        let rule = basis.rule_of(own.as_ref());
        let mut fresh = true;
        match at {
            At::Plain(index) => {
                if let Some(plain) = self.plain.get_bucket_mut(*index) {
                    plain.state.lend(rule, basis.epoch, now, &mut core.state);
                    fresh = false;
                }
            }
            At::Special(index) => {
                if let Some(special) = self.special.get_bucket_mut(*index)
                    && let Cell::Idle(state) = &mut special.cell
                {
                    restart_if_full(rule, state, now);
                    mem::swap(state, &mut core.state);
                    fresh = false;
                }
            }
            At::New(_) | At::NoRoom(..) => {}
        }
        if fresh {
            core.state = rule.start(now, 0);
        }
        let shut = match at {
            _ if basis.closed => Some(Rejection::Closed),
            At::NoRoom(rejection, _) => Some(*rejection),
            _ => own.and_then(|own| own.terms.refusal()),
        };
        core.resume(now, shut);
        core.rest.next_receipt = core.rest.next_receipt.max(self.next_receipt);
        core
    }

    /// The scratch core, with the rule of `own` terms.
    fn scratch<S>(&mut self, call: &Call<'_, S>, own: Option<&Arc<Applied<A>>>) -> Box<Core<A>> {
        let rule = self.basis.rule_of(own);
        match self.scratch.take() {
            Some((of, core)) if of.as_ref().map(Arc::as_ptr) == own.map(Arc::as_ptr) => core,
            Some((_, mut core)) => {
                core.put_rule(rule.clone());
                core
            }
            None => {
                let state = rule.start(self.latest, 0);
                Box::new(Core::new(rule.clone(), state, self.latest, call.max_waiters))
            }
        }
    }

    /// Puts a lent core back where it came from, if it belongs there still.
    fn take_back<Q, S>(&mut self, call: &Call<'_, S>, key: &Q, at: At<A>, mut core: Box<Core<A>>)
    where
        Q: KeyRef<K> + ?Sized,
        S: BuildHasher,
    {
        let (rest, full) = (core.is_at_rest(), self.is_full(&core));
        match at {
            At::Plain(index) => {
                let basis = &*self.basis;
                let settled = rest
                    && !full
                    && self.plain.get_bucket_mut(index).is_some_and(|plain| {
                        plain.state.settle(&basis.rule, basis.epoch, &mut core.state)
                    });
                if settled {
                    self.scratch = Some((None, core));
                } else if let Ok(entry) = self.plain.get_bucket_entry(index) {
                    let key = entry.remove().0.key;
                    self.put(call, move || key, None, false, core);
                }
            }
            At::Special(index) => {
                let Ok(mut entry) = self.special.get_bucket_entry(index) else { return };
                let special = entry.get_mut();
                if !rest {
                    special.cell = Cell::Busy(core);
                    return;
                }
                if let Cell::Idle(state) = &mut special.cell
                    && (special.pinned || (special.own.is_some() && !full))
                {
                    mem::swap(state, &mut core.state);
                    self.scratch = Some((special.own.clone(), core));
                } else {
                    let Special { key, own, pinned, .. } = entry.remove().0;
                    self.pinned -= usize::from(pinned);
                    self.put(call, move || key, own, pinned, core);
                }
            }
            At::New(own) => self.put(call, || key.to_key(), own, false, core),
            At::NoRoom(_, own) => self.scratch = Some((own, core)),
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
        own: Own<A>,
        pinned: bool,
        mut core: Box<Core<A>>,
    ) {
        let hasher = |special: &Special<K, A>| call.hasher.hash_one(&special.key);
        if !core.is_at_rest() {
            self.pinned += usize::from(pinned);
            let special = Special { key: to_key(), own, pinned, cell: Cell::Busy(core) };
            self.special.insert_unique(call.hash, special, hasher);
            return;
        }
        if pinned || !self.is_full(&core) {
            self.pinned += usize::from(pinned);
            let fresh = core.rest.rule.start(self.latest, 0);
            let state = mem::replace(&mut core.state, fresh);
            let key = to_key();
            let state = if own.is_none() && !pinned { self.pack(state) } else { Err(state) };
            match state {
                Ok(state) => {
                    let hasher = |plain: &Plain<K, A>| call.hasher.hash_one(&plain.key);
                    self.plain.insert_unique(call.hash, Plain { key, state }, hasher);
                }
                Err(state) => {
                    let own = own.clone();
                    let special = Special { key, own, pinned, cell: Cell::Idle(state) };
                    self.special.insert_unique(call.hash, special, hasher);
                }
            }
            self.sweep_a_little(call.hasher);
        }
        self.scratch = Some((own, core));
    }

    /// Packs a state, relative to a new epoch if it must be.
    fn pack(&mut self, state: A::State) -> Result<A::Packed, A::State> {
        let basis = &*self.basis;
        A::Packed::pack(&basis.rule, basis.epoch, state).or_else(|state| {
            if self.latest < self.basis.good_until {
                return Err(state);
            }
            self.renew_epoch();
            A::Packed::pack(&self.basis.rule, self.basis.epoch, state)
        })
    }
}
