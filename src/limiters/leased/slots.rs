//! A slot for each thread that holds a lease, and what happens without a lock.
//!
//! A thread spends from its own slot without a lock. Everything else (drawing, calling back,
//! freeing a slot) happens under the lock of the [ledger](super::ledger).

use std::time::Duration;

use super::ledger::{Ledger, LockedLedger};
use super::thread::{self, NO_TOKEN};
use crate::Timestamp;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many threads may hold permits at a time. There are few under loom, so that slots change
/// owners.
pub(super) const SLOTS: usize = if cfg!(tollgate_loom) { 2 } else { 16 };

/// All leases together hold at most this many batches.
pub(super) const BATCHES: u64 = if cfg!(tollgate_loom) { 3 } else { 8 };

/// A lease is sized to last about this long. A refused `allow` does not call back leases that were
/// drawn less than this long ago. Otherwise threads that are all refused would call each other's
/// permits back for each permit that is refilled.
pub(super) const LEASE_TIME: Duration = Duration::from_millis(1);

/// The time of an event that is not planned.
pub(super) const NEVER: u64 = u64::MAX;

/// The owner of a slot that belongs to no thread.
const NOBODY: u64 = 0;

/// The leases of all threads in one bucket.
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) batch: u64,
    /// From this time on, a refused `allow` calls leases back; [`NEVER`] while no permit is leased.
    /// Written under the ledger's lock, before the first permit of a lease is taken from the
    /// bucket.
    pub(super) call_back_at: AtomicU64,
    /// Until this time, a thread without a slot need not look for one. Written under the ledger's
    /// lock.
    pub(super) full_until: AtomicU64,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) owners: Owners,
    pub(super) slots: [Slot; SLOTS],
}

/// The token of each slot's owner. It is not in the slots, because all threads read it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Owners(pub(super) [AtomicU64; SLOTS]);

/// The lease of one thread, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    /// Permits left. The owner lowers it without a lock; all other changes are under the ledger's
    /// lock.
    pub(super) left: AtomicU64,
    /// If it is not 0, the lease was called back: the bucket was given this many permits, and the
    /// owner may spend some of them again until it sees this mark.
    pub(super) called_back: AtomicU64,
}

impl Leases {
    pub(super) fn new(batch: u64) -> Self {
        Self {
            batch,
            call_back_at: AtomicU64::new(NEVER),
            full_until: AtomicU64::new(0),
            ledger: Mutex::default(),
            owners: Owners(std::array::from_fn(|_| AtomicU64::new(NOBODY))),
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }

    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// Takes `permits` from the lease of the calling thread, if they are available. This is the hot
    /// path.
    #[inline]
    pub(super) fn spend(&self, permits: u64) -> bool {
        let token = thread::token();
        let home = home_of(token);
        if self.owners.0[home].load(Ordering::Relaxed) == token {
            return self.spend_from(home, token, permits);
        }
        token != NO_TOKEN && self.spend_elsewhere(token, permits)
    }

    #[inline(never)]
    fn spend_elsewhere(&self, token: u64, permits: u64) -> bool {
        self.slot_of(token).is_some_and(|index| self.spend_from(index, token, permits))
    }

    #[inline]
    fn spend_from(&self, index: usize, token: u64, permits: u64) -> bool {
        let slot = &self.slots[index];
        // The owner is read last. If this thread sees the permits of another owner (`Acquire` here,
        // `Release` where they are written), it also sees that the slot is no longer its own.
        let left = slot.left.load(Ordering::Acquire);
        if permits == 0
            || permits > left
            || slot.called_back.load(Ordering::Relaxed) != 0
            || self.owners.0[index].load(Ordering::Relaxed) != token
        {
            return false;
        }
        slot.left.store(left - permits, Ordering::Release);
        true
    }

    /// The slot of the thread with this token.
    pub(super) fn slot_of(&self, token: u64) -> Option<usize> {
        self.owners.0.iter().position(|owner| owner.load(Ordering::Relaxed) == token)
    }

    /// Whether any permits are leased, as far as the calling thread can know. It never misses a
    /// lease whose first permit was taken from the bucket before the caller last locked the bucket.
    pub(super) fn any(&self) -> bool {
        self.call_back_at.load(Ordering::Relaxed) != NEVER
    }

    /// Whether a refused `allow` should call leases back.
    pub(super) fn may_call_back(&self, now: Timestamp) -> bool {
        let at = self.call_back_at.load(Ordering::Relaxed);
        at != NEVER && !is_soon(Timestamp::from_nanos(at), now)
    }

    /// Whether it is known that no slot is free for the calling thread.
    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        let until = Timestamp::from_nanos(self.full_until.load(Ordering::Relaxed));
        is_soon(until, now) && self.slot_of(thread::token()).is_none()
    }

    pub(super) fn lock(&self) -> LockedLedger<'_> {
        LockedLedger::new(self, self.ledger.lock())
    }
}

/// The slot that a thread is given if it is free.
#[inline]
pub(super) fn home_of(token: u64) -> usize {
    // Both conversions are of small numbers, and cost nothing.
    usize::try_from(token % SLOTS as u64).unwrap_or(0)
}

/// Whether `at` is in the future, and by no more than [`LEASE_TIME`]. (It is further in the future
/// if the clock has stepped back.)
pub(super) fn is_soon(at: Timestamp, now: Timestamp) -> bool {
    at > now && at - now <= LEASE_TIME
}
