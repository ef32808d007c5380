//! A slot for each thread that holds a lease: what is done without a lock.
//!
//! A thread spends from its own slot. Everything else (drawing, calling back, freeing a slot) happens
//! under the [ledger's](super::ledger) lock.

use std::time::Duration;

use super::ledger::{Books, Ledger};
use super::thread::{self, NO_TOKEN};
use crate::Timestamp;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How many threads may hold permits at a time. Under loom few, so that slots change hands.
pub(super) const SLOTS: usize = if cfg!(tollgate_loom) { 2 } else { 16 };

/// All leases together hold at most this many batches.
pub(super) const BATCHES: u64 = if cfg!(tollgate_loom) { 3 } else { 8 };

/// A refused `allow` leaves leases alone that were drawn less than this long ago, so that threads
/// that are all refused do not call each other's permits back for each permit that comes. A lease
/// is made to last about as long.
pub(super) const YOUNG: Duration = Duration::from_millis(1);

/// The time of something that is not planned.
pub(super) const NEVER: u64 = u64::MAX;

/// The owner of a slot that nobody has.
const NOBODY: u64 = 0;

/// What all threads hold of one bucket.
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) batch: u64,
    /// From when on a refused `allow` calls leases back; [`NEVER`] while no permit is leased.
    /// Written under the ledger, before the first permit of a lease is taken from the bucket.
    pub(super) next_call: AtomicU64,
    /// Until when a thread without a slot need not look for one. Written under the ledger.
    pub(super) full_until: AtomicU64,
    pub(super) ledger: Mutex<Ledger>,
    pub(super) owners: Owners,
    pub(super) slots: [Slot; SLOTS],
}

/// The token of each slot's owner. Apart from the slots, because all threads read it.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Owners(pub(super) [AtomicU64; SLOTS]);

/// What one thread holds, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    /// Permits left. Lowered by the owner without the ledger; all else is under the ledger.
    pub(super) left: AtomicU64,
    /// If not 0, the lease was called back: the bucket has been given this many permits, and the
    /// owner may spend some of them again until it sees this mark.
    pub(super) called_back: AtomicU64,
}

impl Leases {
    pub(super) fn new(batch: u64) -> Self {
        Self {
            batch,
            next_call: AtomicU64::new(NEVER),
            full_until: AtomicU64::new(0),
            ledger: Mutex::default(),
            owners: Owners(std::array::from_fn(|_| AtomicU64::new(NOBODY))),
            slots: std::array::from_fn(|_| Slot::default()),
        }
    }

    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// Takes `permits` from the calling thread's lease, if they are there: the hot path.
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
        // The owner is read last: whoever sees what another owner has left here (`Acquire`, and
        // `Release` where it is written) then also sees that the slot is not its own any more.
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

    pub(super) fn slot_of(&self, token: u64) -> Option<usize> {
        self.owners.0.iter().position(|owner| owner.load(Ordering::Relaxed) == token)
    }

    /// Whether any permits are leased, as far as the calling thread can know. Never misses a lease
    /// whose first permit came out of the bucket before the caller last looked at the bucket.
    pub(super) fn any(&self) -> bool {
        self.next_call.load(Ordering::Relaxed) != NEVER
    }

    /// Whether a refused `allow` should call leases back.
    pub(super) fn may_call_back(&self, now: Timestamp) -> bool {
        let at = self.next_call.load(Ordering::Relaxed);
        at != NEVER && !is_soon(Timestamp::from_nanos(at), now)
    }

    /// Whether it is known that there is no slot for the calling thread.
    pub(super) fn is_full(&self, now: Timestamp) -> bool {
        let until = Timestamp::from_nanos(self.full_until.load(Ordering::Relaxed));
        is_soon(until, now) && self.slot_of(thread::token()).is_none()
    }

    pub(super) fn lock(&self) -> Books<'_> {
        Books::new(self, self.ledger.lock())
    }
}

/// The slot that a thread has if it is free.
#[inline]
pub(super) fn home_of(token: u64) -> usize {
    // Both casts are of small numbers, and cost nothing.
    usize::try_from(token % SLOTS as u64).unwrap_or(0)
}

/// Whether `at` is still ahead, by no more than it can be if the clock only ran forward since.
pub(super) fn is_soon(at: Timestamp, now: Timestamp) -> bool {
    at > now && at - now <= YOUNG
}
