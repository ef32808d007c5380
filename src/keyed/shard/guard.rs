//! The guard of a locked shard, which keeps the number of keys right.

use std::ops::{Deref, DerefMut};
use std::thread;

use crate::algorithm::Algorithm;
use crate::keyed::key::Key;
use crate::keyed::max_keys::{KeyLimit, ReservedSlot};
use crate::keyed::shard::Shard;
use crate::sync::MutexGuard;

/// A locked shard. On unlock, the keys it gained or lost are counted against the key limit, also if
/// foreign code has panicked meanwhile.
pub(crate) struct ShardGuard<'a, K: Key, A: Algorithm> {
    shard: MutexGuard<'a, Shard<K, A>>,
    bound: Option<&'a KeyLimit<A>>,
    /// How many of the shard's keys are counted already.
    counted: usize,
}

impl<'a, K: Key, A: Algorithm> ShardGuard<'a, K, A> {
    pub(crate) fn new(shard: MutexGuard<'a, Shard<K, A>>, bound: Option<&'a KeyLimit<A>>) -> Self {
        // Read only if needed: it is not on the cache line that a decision uses.
        let counted = if bound.is_some() { shard.bounded() } else { 0 };
        Self { shard, bound, counted }
    }

    /// Counts a reserved slot as one of the shard's.
    pub(crate) fn adopt(&mut self, reserved: ReservedSlot<'_, A>) {
        self.counted += reserved.take();
    }

    /// Whether the key used last must be counted from now on; resets the flag.
    pub(crate) fn take_needs_slot(&mut self) -> bool {
        std::mem::take(&mut self.shard.needs_slot)
    }
}

impl<K: Key, A: Algorithm> Deref for ShardGuard<'_, K, A> {
    type Target = Shard<K, A>;

    fn deref(&self) -> &Shard<K, A> {
        &self.shard
    }
}

impl<K: Key, A: Algorithm> DerefMut for ShardGuard<'_, K, A> {
    fn deref_mut(&mut self) -> &mut Shard<K, A> {
        &mut self.shard
    }
}

impl<K: Key, A: Algorithm> Drop for ShardGuard<'_, K, A> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shard.recount();
        }
        if let Some(bound) = self.bound {
            self.counted += std::mem::take(&mut self.shard.adopted_slots);
            bound.settle(self.counted, self.shard.bounded());
        }
    }
}
