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
pub(crate) mod all_keys;
pub(crate) mod change_key;
mod entries;
pub(crate) mod fast_path;
pub(crate) mod guard;
pub(crate) mod offenders;
pub(crate) mod peek;
pub(crate) mod snapshot;
pub(crate) mod sweep;
mod tables;
pub(crate) mod with_core;

pub(crate) use entries::{At, Hold, Kept, Plain, Special, SpecialState, Tiered};
pub use offenders::Offender;

use std::sync::Arc;

use hashbrown::HashTable;

use crate::Timestamp;
use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::{Key, KeyRef};
use crate::keyed::shard::offenders::Refused;
use crate::keyed::shard::sweep::Cursors;
use crate::keyed::terms::KeyTerms;
use crate::limiters::core::Core;

/// What a decision about a plain key touches comes first: one cache line with the lock before it.
#[repr(C)]
pub(crate) struct Shard<K, A: Algorithm> {
    pub(crate) plain: HashTable<Plain<K, A>>,
    pub(crate) basis: Arc<Basis<A>>,
    /// The newest time seen; an older one counts as this one.
    pub(crate) latest: Timestamp,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    /// The highest number of a grant that may be given back, of all keys: a key that comes back has
    /// higher ones.
    pub(crate) next_receipt: u64,
    pub(crate) special: HashTable<Special<K, A>>,
    pub(crate) tiered: HashTable<Tiered<K, A>>,
    /// How many of them do not count against a bound on the keys.
    pub(crate) uncounted: usize,
    /// Reserved places that its keys have taken since it was locked.
    pub(crate) adopted_slots: usize,
    /// The key that was in use last is to count from now on, if there is room for it.
    pub(crate) needs_slot: bool,
    pub(crate) refused: Refused<K>,
    pub(crate) cursors: Cursors,
    /// A core that is used again and again, and the terms whose rule it has.
    pub(crate) scratch: Option<(KeyTerms<A>, Box<Core<A>>)>,
}

/// What applies to all keys of a shard; shared by shards while it is the same.
#[derive(Debug)]
pub(crate) struct Basis<A> {
    pub(crate) rule: A,
    /// What packed states are relative to, and how long they can be.
    pub(crate) epoch: Timestamp,
    pub(crate) good_until: Timestamp,
    pub(crate) closed: bool,
    /// Whether the rule is the one that the limiter was built with.
    pub(crate) is_as_built: bool,
}

/// What a shard needs to know from outside.
#[derive(Debug)]
pub(crate) struct Call<'a, S> {
    pub(crate) hash: u64,
    pub(crate) now: Timestamp,
    pub(crate) hasher: &'a S,
    pub(crate) max_waiters: usize,
    /// Whether a new key may come in just so: no bound, and nothing to ask about it.
    pub(crate) inserts_freely: bool,
}

impl<A: Algorithm> Basis<A> {
    pub(crate) fn new(rule: A, epoch: Timestamp, closed: bool) -> Self {
        let good_until = A::Packed::good_until(&rule, epoch);
        Self { rule, epoch, good_until, closed, is_as_built: true }
    }

    /// The same rule, of which packed states are relative to `epoch`.
    pub(crate) fn since(&self, epoch: Timestamp) -> Self {
        Self { is_as_built: self.is_as_built, ..Self::new(self.rule.clone(), epoch, self.closed) }
    }

    pub(crate) fn rule_of<'a>(&'a self, own: &'a KeyTerms<A>) -> &'a A {
        own.rule().unwrap_or(&self.rule)
    }
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    pub(crate) fn new(basis: Arc<Basis<A>>, capacity: usize) -> Self {
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
            adopted_slots: 0,
            needs_slot: false,
            refused: Refused::default(),
            cursors: Cursors::default(),
            scratch: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.tiered.len() + self.special.len()
    }

    /// The keys that count against a bound: those that came by themselves.
    pub(crate) fn bounded(&self) -> usize {
        self.len() - self.uncounted
    }

    /// Counts anew what a panic may have left uncounted.
    pub(crate) fn recount(&mut self) {
        self.needs_slot = false;
        self.uncounted = self.special.iter().filter(|special| !special.kept.counted).count();
    }

    /// Adds to the shard's counts; `limited` says whether a denial was for want of permits.
    pub(crate) fn count<Q: KeyRef<K> + ?Sized>(
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

    pub(crate) fn is_full(&self, core: &Core<A>) -> bool {
        core.rest.rule.full_at(&core.state, self.latest) <= self.latest
    }
}
