//! How many subjects there may be, and where to look for full ones if there is no room.

use std::time::Duration;

use crate::Timestamp;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How long no search runs after all shards have been searched. This keeps the cost of a flood of
/// new subjects to a few percent of a core.
const REST: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Room {
    most: usize,
    held: AtomicUsize,
    /// The shard to search next.
    search: AtomicUsize,
    /// No search runs before this time, because all shards have just been searched.
    quiet_until: AtomicU64,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        let (held, search) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { most, held, search, quiet_until: AtomicU64::new(0) }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Makes room for `count` subjects, if there is any. Relaxed is enough: no memory is published
    /// through this count.
    pub(super) fn reserve(&self, count: usize) -> bool {
        let more = |held: usize| held.checked_add(count).filter(|held| *held <= self.most);
        count == 0 || self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(super) fn free(&self, count: usize) {
        if count > 0 {
            self.held.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// The next shard to search, out of `shards`; `None` if each has been searched a moment ago.
    pub(super) fn next_search(&self, shards: usize, now: Timestamp) -> Option<usize> {
        if now.as_nanos() < self.quiet_until.load(Ordering::Relaxed) {
            return None;
        }
        let next = self.search.fetch_add(1, Ordering::Relaxed) % shards.max(1);
        if next + 1 == shards {
            self.quiet_until.store((now + REST).as_nanos(), Ordering::Relaxed);
        }
        Some(next)
    }
}
