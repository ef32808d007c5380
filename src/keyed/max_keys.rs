//! At most so many keys, whatever comes.

use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::limiters::core::Core;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::wait::queue::Taken;
use crate::{Rejection, Timestamp};

/// What a new key meets when a keyed limiter holds [`max_keys`](super::KeyedBuilder::max_keys) already.
///
/// Known keys are served as ever. There is room again once a known key is idle: each new key looks
/// for such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is refused with [`Rejection::TooManyKeys`].
    #[default]
    Deny,
    /// All new keys share one bucket with the limiter's quota, in which nobody can wait: a wait that
    /// would not end at once fails with [`WaitError::QueueFull`](crate::WaitError::QueueFull).
    Share,
}

/// How long nobody searches after all shards were searched: a flood of new keys costs no more than
/// a few percent of a core.
const REST: Duration = Duration::from_millis(1);

/// Grants of the shared bucket that may be given back have numbers from here on, those of keys lower
/// ones: so it is known where a grant came from.
const OVERFLOW_RECEIPTS: u64 = 1 << 63;

/// Whether permits were taken from the shared bucket.
pub(crate) fn is_shared(taken: &Taken) -> bool {
    taken.receipt.seq > OVERFLOW_RECEIPTS
}

/// Counts the places that are taken, over all shards.
#[derive(Debug)]
pub(crate) struct KeyLimit<A: Algorithm> {
    max_keys: usize,
    taken: AtomicUsize,
    /// The shard that is searched for idle keys next.
    search: AtomicUsize,
    /// No search before this time: all shards have just been searched.
    quiet_until: AtomicU64,
    /// Shared by those who found no room.
    pub(crate) overflow: Option<Mutex<Core<A>>>,
}

impl<A: Algorithm> KeyLimit<A> {
    pub(crate) fn new(max_keys: usize, when_full: WhenFull, rule: &A, now: Timestamp) -> Self {
        let overflow = match when_full {
            WhenFull::Deny => None,
            WhenFull::Share => {
                let state = rule.start(now, 0);
                let mut core = Core::new(rule.clone(), state, now, 0);
                core.rest.next_receipt = OVERFLOW_RECEIPTS;
                Some(Mutex::new(core))
            }
        };
        Self {
            max_keys,
            taken: AtomicUsize::new(0),
            search: AtomicUsize::new(0),
            quiet_until: AtomicU64::new(0),
            overflow,
        }
    }

    pub(crate) fn rejection(&self) -> Rejection {
        Rejection::TooManyKeys { max_keys: self.max_keys }
    }

    /// Takes a place for a key, if there is one.
    pub(crate) fn reserve(&self) -> Option<ReservedSlot<'_, A>> {
        let more = |taken| (taken < self.max_keys).then_some(taken + 1);
        // Nothing is read by way of this count: the keys themselves are under their shards' locks.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| ReservedSlot(Some(self)))
    }

    /// Whether there is a place.
    pub(crate) fn has_room(&self) -> bool {
        self.taken.load(Ordering::Relaxed) < self.max_keys
    }

    /// The shard to search next, of so many; none if each has been searched a moment ago.
    pub(crate) fn next_search(&self, shards: usize, now: Timestamp) -> Option<usize> {
        if now.as_nanos() < self.quiet_until.load(Ordering::Relaxed) {
            return None;
        }
        let next = self.search.fetch_add(1, Ordering::Relaxed) % shards.max(1);
        if next + 1 == shards {
            self.quiet_until.store((now + REST).as_nanos(), Ordering::Relaxed);
        }
        Some(next)
    }

    /// Counts what a shard came to hold instead of what was `counted`.
    pub(crate) fn settle(&self, counted: usize, after: usize) {
        if after < counted {
            self.taken.fetch_sub(counted - after, Ordering::Relaxed);
        } else if after > counted {
            // One whose terms are no longer set by hand.
            self.taken.fetch_add(after - counted, Ordering::Relaxed);
        }
    }
}

/// A place that is given back unless a key takes it: also if its copying panics.
pub(crate) struct ReservedSlot<'a, A: Algorithm>(Option<&'a KeyLimit<A>>);

impl<A: Algorithm> ReservedSlot<'_, A> {
    pub(crate) const NONE: Self = Self(None);

    /// It counts elsewhere from now on.
    pub(crate) fn take(mut self) -> usize {
        usize::from(self.0.take().is_some())
    }
}

impl<A: Algorithm> Drop for ReservedSlot<'_, A> {
    fn drop(&mut self) {
        if let Some(bound) = self.0 {
            bound.settle(1, 0);
        }
    }
}
