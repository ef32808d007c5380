//! A shard that is locked, and what has to be set right when it is unlocked.

use std::ops::{Deref, DerefMut};
use std::thread;

use crate::algorithm::Algorithm;
use crate::keyed::key::Key;
use crate::keyed::max_keys::{KeyLimit, ReservedSlot};
use crate::keyed::shard::Shard;
use crate::sync::MutexGuard;

/// A locked shard. When it is unlocked, the keys that it came to hold are counted against the bound:
/// also if foreign code has panicked meanwhile.
pub(crate) struct ShardGuard<'a, K: Key, A: Algorithm> {
    shard: MutexGuard<'a, Shard<K, A>>,
    bound: Option<&'a KeyLimit<A>>,
    /// How many of its keys are counted already.
    counted: usize,
}

impl<'a, K: Key, A: Algorithm> ShardGuard<'a, K, A> {
    pub(crate) fn new(shard: MutexGuard<'a, Shard<K, A>>, bound: Option<&'a KeyLimit<A>>) -> Self {
        // Not looked at without need: it is apart from what a decision touches.
        let counted = if bound.is_some() { shard.bounded() } else { 0 };
        Self { shard, bound, counted }
    }

    /// Has a place that was reserved counted as one of the shard's.
    pub(crate) fn adopt(&mut self, reserved: ReservedSlot<'_, A>) {
        self.counted += reserved.take();
    }

    /// Whether the key that was in use is to count from now on; asked once.
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
