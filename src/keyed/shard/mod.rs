//! A shard holds a part of the keys under one lock, which protects all their buckets.
//!
//! A key is in one of three tables, or in none. A *plain* key has just the key and a packed state,
//! and the default terms. A *tiered* key also has a pointer to the tier of its last request. A
//! *special* key has terms of its own, waiters, or a state that cannot be packed. A key that is in
//! no table has a full bucket.
//!
//! All operations but the fast path go through [`act`](Shard::act): it moves the key's state into a
//! core, the type that every limiter uses, runs the operation on it, and stores the state in the
//! table where it then belongs. Algorithms and keys may be foreign code. If it panics, the state
//! goes back to where it was (`with_core.rs`), and the shard's keys are counted again (`guard.rs`).
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
use crate::keyed::shard::offenders::Offenders;
use crate::keyed::shard::sweep::Cursors;
use crate::keyed::terms::KeyTerms;
use crate::limiters::core::Core;

/// The fields that a decision on a plain key uses come first: they share one cache line with the
/// lock.
#[repr(C)]
pub(crate) struct Shard<K, A: Algorithm> {
    pub(crate) plain: HashTable<Plain<K, A>>,
    pub(crate) basis: Arc<Basis<A>>,
    /// The latest time seen; an earlier time counts as this one.
    pub(crate) latest: Timestamp,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    /// The highest receipt number of a revocable grant, over all keys: a key that was evicted and
    /// returns gets higher ones.
    pub(crate) next_receipt: u64,
    pub(crate) special: HashTable<Special<K, A>>,
    pub(crate) tiered: HashTable<Tiered<K, A>>,
    /// How many special keys do not count against the key limit.
    pub(crate) uncounted: usize,
    /// Reserved slots that keys have taken since the shard was locked.
    pub(crate) adopted_slots: usize,
    /// Whether the key used last must be counted from now on, or evicted if there is no slot for
    /// it.
    pub(crate) needs_slot: bool,
    pub(crate) offenders: Offenders<K>,
    pub(crate) cursors: Cursors,
    /// A core that is reused for each operation, and the terms for whose algorithm it is set up.
    pub(crate) scratch: Option<(KeyTerms<A>, Box<Core<A>>)>,
}

/// What applies to all keys of a shard. Shards share it while it is the same.
#[derive(Debug)]
pub(crate) struct Basis<A> {
    pub(crate) rule: A,
    /// The time that packed states are relative to, and the time until which new states can be
    /// packed so.
    pub(crate) epoch: Timestamp,
    pub(crate) good_until: Timestamp,
    pub(crate) closed: bool,
    /// Whether the algorithm is the one that the limiter was built with.
    pub(crate) is_as_built: bool,
}

/// The arguments of an operation on a shard.
#[derive(Debug)]
pub(crate) struct Call<'a, S> {
    pub(crate) hash: u64,
    pub(crate) now: Timestamp,
    pub(crate) hasher: &'a S,
    pub(crate) max_waiters: usize,
    /// Whether an unknown key can be inserted without further checks: there is no limit on the
    /// number of keys and no function that gives terms.
    pub(crate) inserts_freely: bool,
}

impl<A: Algorithm> Basis<A> {
    pub(crate) fn new(rule: A, epoch: Timestamp, closed: bool) -> Self {
        let good_until = A::Packed::good_until(&rule, epoch);
        Self { rule, epoch, good_until, closed, is_as_built: true }
    }

    /// The same algorithm, with packed states relative to `epoch`.
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
        // The capacity is only a hint: if there is too little memory, the table grows as keys
        // arrive.
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
            offenders: Offenders::default(),
            cursors: Cursors::default(),
            scratch: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.tiered.len() + self.special.len()
    }

    /// How many keys count against the key limit.
    pub(crate) fn bounded(&self) -> usize {
        self.len() - self.uncounted
    }

    /// Recomputes the counts that a panic may have left wrong.
    pub(crate) fn recount(&mut self) {
        self.needs_slot = false;
        self.uncounted = self.special.iter().filter(|special| !special.kept.counted).count();
    }

    /// Adds to the shard's counters; `limited` says whether permits were denied because too few
    /// were available.
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
                self.offenders.count(hash, denied, || key.to_key());
            }
        }
    }

    pub(crate) fn is_full(&self, core: &Core<A>) -> bool {
        core.rest.rule.full_at(&core.state, self.latest) <= self.latest
    }
}
