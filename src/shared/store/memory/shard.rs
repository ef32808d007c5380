//! A shard holds a part of the subjects under one lock.
//!
//! A subject that is not in the table has full buckets. Each new subject evicts the full ones among
//! the next few places of the table, as a keyed limiter does (`keyed/shard/sweep.rs`).

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::party::{BucketsOfOne, Party};
use super::room::Room;
use crate::Timestamp;
use crate::keyed::{RandomState, sweep};

/// The number of places in the table that each new subject looks at.
const SWEEP_PER_INSERT: usize = 4;
/// The number of further places if one of them was full.
const SWEEP_AFTER_EVICTION: usize = 16;

/// A subject of which something is in use.
struct Subject {
    /// The number of its namespace.
    space: usize,
    name: Box<str>,
    buckets: BucketsOfOne,
}

#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<Subject>,
    /// The latest time seen; an earlier time counts as this one.
    latest: Timestamp,
    /// Where the next sweep begins.
    cursor: usize,
}

/// The hash of a subject.
#[inline]
pub(super) fn hash(hasher: &RandomState, space: usize, subject: &str) -> u64 {
    hasher.hash_one((space, subject))
}

impl Shard {
    /// The time of a decision.
    #[inline]
    pub(super) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.latest = self.latest.max(now);
        self.latest
    }

    #[inline]
    pub(super) fn get(&self, hash: u64, party: &Party<'_>) -> Option<&BucketsOfOne> {
        let found = self.table.find(hash, |subject| subject.is(party));
        found.map(|subject| &subject.buckets)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, hash: u64, party: &Party<'_>) -> Option<&mut BucketsOfOne> {
        let found = self.table.find_mut(hash, |subject| subject.is(party));
        found.map(|subject| &mut subject.buckets)
    }

    /// Stores a subject that is not in the table, and for which there is room.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        party: &Party<'_>,
        buckets: BucketsOfOne,
        hasher: &RandomState,
        room: &Room,
    ) {
        let subject = Subject { space: party.space.number, name: party.subject.into(), buckets };
        self.table.insert_unique(hash, subject, |subject| subject.hash(hasher));
        if self.sweep(SWEEP_PER_INSERT, hasher, room) {
            self.sweep(SWEEP_AFTER_EVICTION, hasher, room);
        }
    }

    /// Removes a subject whose buckets are full.
    pub(super) fn remove(&mut self, hash: u64, party: &Party<'_>, room: &Room) {
        if let Ok(entry) = self.table.find_entry(hash, |subject| subject.is(party)) {
            entry.remove();
            room.free(1);
        }
    }

    /// Evicts the full subjects among the next `places` places. Returns whether there were any.
    pub(super) fn sweep(&mut self, places: usize, hasher: &RandomState, room: &Room) -> bool {
        let (before, now) = (self.table.len(), self.latest);
        sweep(
            &mut self.table,
            &mut self.cursor,
            places,
            |subject| is_idle(&subject.buckets, now),
            |subject| subject.hash(hasher),
        );
        let evicted = before - self.table.len();
        room.free(evicted);
        evicted > 0
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

impl Subject {
    #[inline]
    fn is(&self, party: &Party<'_>) -> bool {
        self.space == party.space.number && *self.name == *party.subject
    }

    fn hash(&self, hasher: &RandomState) -> u64 {
        hash(hasher, self.space, &self.name)
    }
}

/// Whether the subject need not be in the table.
pub(super) fn is_idle(buckets: &BucketsOfOne, now: Timestamp) -> bool {
    buckets.iter().all(|bucket| bucket.is_idle(now))
}
