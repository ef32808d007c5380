//! The limit on the number of keys, and what happens beyond it.
//!
//! A limiter with `max_keys` has that many slots. Each key that counts against the limit occupies
//! one.

use super::search::Search;
use crate::algorithm::Algorithm;
use crate::answer::Taken;
use crate::limiters::core::Core;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::{Rejection, Timestamp};

/// What happens to a new key when a keyed limiter already holds
/// [`max_keys`](super::KeyedBuilder::max_keys) keys.
///
/// Known keys are unaffected. A slot becomes free when a known key is idle; each new key looks for
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// Requests are rejected with [`Rejection::TooManyKeys`].
    #[default]
    Deny,
    /// All new keys share one bucket with the limiter's quota. Nobody can wait on it: a wait that
    /// would not end at once fails with [`WaitError::QueueFull`](crate::WaitError::QueueFull).
    Share,
}

/// Revocable grants from the overflow bucket have receipt numbers above this one, and those from a
/// key's own bucket have lower ones: the number says where a grant came from.
const OVERFLOW_RECEIPTS: u64 = 1 << 63;

/// Whether permits were taken from the overflow bucket.
pub(crate) fn is_from_overflow(taken: &Taken) -> bool {
    taken.receipt.seq > OVERFLOW_RECEIPTS
}

/// Counts the occupied slots of all shards.
#[derive(Debug)]
pub(crate) struct KeyLimit<A: Algorithm> {
    max_keys: AtomicUsize,
    taken: AtomicUsize,
    /// Where to search for idle keys.
    pub(crate) search: Search,
    /// The bucket shared by keys without a slot.
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
            max_keys: AtomicUsize::new(max_keys),
            taken: AtomicUsize::new(0),
            search: Search::new(),
            overflow,
        }
    }

    pub(crate) fn rejection(&self) -> Rejection {
        Rejection::TooManyKeys { max_keys: self.max_keys() }
    }

    /// The number of slots.
    pub(crate) fn max_keys(&self) -> usize {
        self.max_keys.load(Ordering::Relaxed)
    }

    /// Changes the number of slots. Keys that hold a slot keep it.
    pub(crate) fn set_max_keys(&self, max_keys: usize) {
        self.max_keys.store(max_keys, Ordering::Relaxed);
    }

    /// Reserves a slot for a key, if one is free.
    pub(crate) fn reserve(&self) -> Option<ReservedSlot<'_, A>> {
        let max_keys = self.max_keys();
        let more = |taken| (taken < max_keys).then_some(taken + 1);
        // Relaxed is enough: no memory is published through this count, and the keys are protected
        // by the locks of their shards.
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| ReservedSlot(Some(self)))
    }

    /// Whether a slot is free.
    pub(crate) fn has_room(&self) -> bool {
        self.taken.load(Ordering::Relaxed) < self.max_keys()
    }

    /// Replaces `counted` by `after`, the number of keys that a shard holds now.
    pub(crate) fn settle(&self, counted: usize, after: usize) {
        if after < counted {
            self.taken.fetch_sub(counted - after, Ordering::Relaxed);
        } else if after > counted {
            // A key began to count for which no slot was reserved.
            self.taken.fetch_add(after - counted, Ordering::Relaxed);
        }
    }
}

/// A reserved slot. It is released on drop unless a key takes it, also if copying the key panics.
pub(crate) struct ReservedSlot<'a, A: Algorithm>(Option<&'a KeyLimit<A>>);

impl<A: Algorithm> ReservedSlot<'_, A> {
    pub(crate) const NONE: Self = Self(None);

    /// Hands the slot over to the shard's count. Returns the number of slots, 0 or 1.
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
