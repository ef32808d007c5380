//! Evicting idle keys: a full bucket holds no information.
//!
//! Eviction is incremental. Each new key looks at the next few positions of its shard's tables, and
//! at more of them if it finds a full bucket there. So the cost of a new key is bounded, and full
//! buckets are evicted as fast as new keys arrive. When a scan reaches the end of a table, or
//! removes something, and most of the table is empty, the table shrinks.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::Timestamp;
use crate::algorithm::{Algorithm, Packed};
use crate::keyed::key::Key;
use crate::keyed::shard::{Basis, Plain, Shard, Special, SpecialState, Tiered};

/// The number of table positions that each new key looks at.
const SWEEP_PER_INSERT: usize = 4;
/// The number of further positions if one of them was full: if more than one bucket in nine is
/// full, evictions outnumber insertions.
const SWEEP_AFTER_EVICTION: usize = 16;
/// The number of table positions to look at in a shard when all slots are taken.
pub(crate) const SWEEP_WHEN_FULL: usize = 64;
/// How many other shards are searched then.
pub(crate) const OTHER_SHARDS: usize = 4;
/// Tables of at most this size do not shrink.
const SMALL: usize = 64;

/// Where the next scan of each table begins.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    plain: usize,
    tiered: usize,
    special: usize,
    /// New keys since idle keys were last removed from the offenders.
    new_keys: usize,
}

impl<K: Key, A: Algorithm> Shard<K, A> {
    /// The work that each new key does.
    #[inline]
    pub(crate) fn sweep_on_insert(&mut self, hasher: &impl BuildHasher) {
        let before = self.len();
        self.sweep_some(SWEEP_PER_INSERT, hasher);
        if self.len() < before {
            self.sweep_some(SWEEP_AFTER_EVICTION, hasher);
        }
        if !self.offenders.is_empty() {
            self.cursors.new_keys += 1;
            if self.cursors.new_keys >= SMALL {
                self.forget_idle_offenders(false);
            }
        }
    }

    /// Removes offenders that are no longer held; `all` also removes those refused recently.
    fn forget_idle_offenders(&mut self, all: bool) {
        self.cursors.new_keys = 0;
        let (plain, tiered, special) = (&self.plain, &self.tiered, &self.special);
        self.offenders.forget_idle(all, |hash, key| {
            plain.find(hash, |plain| plain.key == *key).is_some()
                || tiered.find(hash, |tiered| tiered.key == *key).is_some()
                || special.find(hash, |special| special.key == *key).is_some()
        });
    }

    /// Evicts the full buckets among the next `places` positions of each table.
    pub(crate) fn sweep_some(&mut self, places: usize, hasher: &impl BuildHasher) {
        let (basis, now) = (&*self.basis, self.latest);
        sweep(
            &mut self.plain,
            &mut self.cursors.plain,
            places,
            |plain| plain.state.is_full(&basis.rule, basis.epoch, now),
            |plain| hasher.hash_one(&plain.key),
        );
        sweep(
            &mut self.tiered,
            &mut self.cursors.tiered,
            places,
            |tiered| tiered.is_full(basis, now),
            |tiered| hasher.hash_one(&tiered.key),
        );
        let uncounted = std::cell::Cell::new(self.uncounted);
        sweep(
            &mut self.special,
            &mut self.cursors.special,
            places,
            |special| {
                let idle = is_idle(special, basis, now);
                // Every entry found idle is removed.
                uncounted.set(uncounted.get() - usize::from(idle && !special.kept.counted));
                idle
            },
            |special| hasher.hash_one(&special.key),
        );
        self.uncounted = uncounted.get();
    }

    /// Evicts all full buckets and frees their memory.
    pub(crate) fn sweep_all(&mut self, now: Timestamp, hasher: &impl BuildHasher) {
        self.latest = self.latest.max(now);
        let (basis, now) = (&*self.basis, self.latest);
        self.plain.retain(|plain| !plain.state.is_full(&basis.rule, basis.epoch, now));
        self.tiered.retain(|tiered| !tiered.is_full(basis, now));
        self.special.retain(|special| !is_idle(special, basis, now));
        self.recount();
        self.plain.shrink_to_fit(|plain| hasher.hash_one(&plain.key));
        self.tiered.shrink_to_fit(|tiered| hasher.hash_one(&tiered.key));
        self.special.shrink_to_fit(|special| hasher.hash_one(&special.key));
        self.forget_idle_offenders(true);
    }

    /// Makes the current time the epoch. This happens every few decades to minutes, depending on
    /// the rate: the faster, the more often.
    pub(crate) fn renew_epoch(&mut self) {
        let (old, now) = (Arc::clone(&self.basis), self.latest);
        let new = old.since(now);
        let mut state = new.rule.start(now, 0);
        self.plain.retain(|Plain { state: packed, .. }| {
            if packed.is_full(&old.rule, old.epoch, now) {
                return false;
            }
            packed.lend(&old.rule, old.epoch, now, &mut state);
            // A state that could be packed relative to an earlier epoch can be packed relative to a
            // later one.
            packed.settle(&new.rule, new.epoch, &mut state)
        });
        self.tiered.retain(|Tiered { state: packed, tier, .. }| {
            let rule = tier.rule_or(&old.rule);
            if packed.is_full(rule, old.epoch, now) {
                return false;
            }
            packed.lend(rule, old.epoch, now, &mut state);
            packed.settle(rule, new.epoch, &mut state)
        });
        self.basis = Arc::new(new);
    }
}

impl<K, A: Algorithm> Tiered<K, A> {
    /// Whether the bucket is full, so that evicting the key loses nothing.
    pub(crate) fn is_full(&self, basis: &Basis<A>, now: Timestamp) -> bool {
        self.state.is_full(self.tier.rule_or(&basis.rule), basis.epoch, now)
    }
}

/// Whether evicting the key loses nothing.
fn is_idle<K, A: Algorithm>(special: &Special<K, A>, basis: &Basis<A>, now: Timestamp) -> bool {
    let SpecialState::Idle(state) = &special.state else { return false };
    !special.kept.is_held(now) && basis.rule_of(&special.kept.own).full_at(state, now) <= now
}

/// Scans the next `places` positions of `table`, and removes idle entries.
pub(crate) fn sweep<T>(
    table: &mut HashTable<T>,
    cursor: &mut usize,
    places: usize,
    idle: impl Fn(&T) -> bool,
    hasher: impl Fn(&T) -> u64,
) {
    if table.is_empty() && table.num_buckets() <= SMALL {
        return;
    }
    if places >= table.num_buckets() {
        *cursor = 0;
    }
    let mut removed = false;
    for index in *cursor..cursor.saturating_add(places) {
        if index >= table.num_buckets() {
            *cursor = 0;
            // Also shrinks a table whose keys were removed in other ways.
            shrink(table, cursor, idle, hasher);
            return;
        }
        if table.get_bucket(index).is_some_and(&idle) {
            if let Ok(entry) = table.get_bucket_entry(index) {
                entry.remove();
                removed = true;
            }
        }
    }
    *cursor += places;
    if removed {
        shrink(table, cursor, idle, hasher);
    }
}

/// Shrinks a table that is mostly empty, to a quarter full, so that it need not grow again soon.
/// Shrinking visits every entry anyway, so all idle entries are removed too.
fn shrink<T>(
    table: &mut HashTable<T>,
    cursor: &mut usize,
    idle: impl Fn(&T) -> bool,
    hasher: impl Fn(&T) -> u64,
) {
    if table.num_buckets() > SMALL && table.len() < table.num_buckets() / 8 {
        table.retain(|item| !idle(item));
        table.shrink_to(table.len() * 2, hasher);
        *cursor = 0;
    }
}
