//! A shard that is locked, and what has to be set right when it is unlocked.

use std::ops::{Deref, DerefMut};
use std::thread;

use crate::algorithm::Algorithm;
use crate::keyed::bound::{Bound, Reserved};
use crate::keyed::key::Key;
use crate::keyed::shard::Shard;
use crate::sync::MutexGuard;

/// A locked shard. When it is unlocked, the keys that it came to hold are counted against the bound:
/// also if foreign code has panicked meanwhile.
pub(crate) struct Locked<'a, K: Key, A: Algorithm> {
    shard: MutexGuard<'a, Shard<K, A>>,
    bound: Option<&'a Bound<A>>,
    /// How many of its keys are counted already.
    counted: usize,
}

impl<'a, K: Key, A: Algorithm> Locked<'a, K, A> {
    pub(crate) fn new(shard: MutexGuard<'a, Shard<K, A>>, bound: Option<&'a Bound<A>>) -> Self {
        // Not looked at without need: it is apart from what a decision touches.
        let counted = if bound.is_some() { shard.bounded() } else { 0 };
        Self { shard, bound, counted }
    }

    /// Has a place that was reserved counted as one of the shard's.
    pub(crate) fn adopt(&mut self, reserved: Reserved<'_, A>) {
        self.counted += reserved.take();
    }

    /// Whether the key that was in use is to count from now on; asked once.
    pub(crate) fn take_unplaced(&mut self) -> bool {
        std::mem::take(&mut self.shard.unplaced)
    }
}

impl<K: Key, A: Algorithm> Deref for Locked<'_, K, A> {
    type Target = Shard<K, A>;

    fn deref(&self) -> &Shard<K, A> {
        &self.shard
    }
}

impl<K: Key, A: Algorithm> DerefMut for Locked<'_, K, A> {
    fn deref_mut(&mut self) -> &mut Shard<K, A> {
        &mut self.shard
    }
}

impl<K: Key, A: Algorithm> Drop for Locked<'_, K, A> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shard.recount();
        }
        if let Some(bound) = self.bound {
            self.counted += std::mem::take(&mut self.shard.adopted);
            bound.settle(self.counted, self.shard.bounded());
        }
    }
}
