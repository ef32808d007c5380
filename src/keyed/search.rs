//! Which shard to search for full entries, if there is no room for a new one.

use std::time::Duration;

use crate::Timestamp;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How long no search runs after all shards have been searched. This keeps the cost of a flood of
/// new keys to a few percent of a core.
const REST: Duration = Duration::from_millis(1);

/// The searches of all shards, one after the other.
#[derive(Debug)]
pub(crate) struct Search {
    /// The shard to search next.
    next: AtomicUsize,
    /// No search runs before this time, because all shards have just been searched.
    quiet_until: AtomicU64,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self { next: AtomicUsize::new(0), quiet_until: AtomicU64::new(0) }
    }

    /// The next shard to search, out of `shards`; `None` if each has been searched a moment ago.
    pub(crate) fn next(&self, shards: usize, now: Timestamp) -> Option<usize> {
        if now.as_nanos() < self.quiet_until.load(Ordering::Relaxed) {
            return None;
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % shards.max(1);
        if next + 1 == shards {
            self.quiet_until.store((now + REST).as_nanos(), Ordering::Relaxed);
        }
        Some(next)
    }
}
