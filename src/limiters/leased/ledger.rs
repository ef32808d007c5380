//! The ledger of a leased bucket: which thread holds how many permits. Everything here happens
//! under the ledger's lock. The proof of the bound is in the [parent module](super).

use std::sync::Arc;
use std::time::Duration;

use super::slots::{BATCHES, LEASE_TIME, Leases, NEVER, SLOTS, home_of, is_soon};
use super::thread::{self, Holder, Life};
use crate::Timestamp;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// What is known of all slots.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The sum of `most` over the slots that were not called back. Together with `exposed`, at most
    /// [`BATCHES`] batches.
    leased: u64,
    /// The sum of `most` over the slots that were called back.
    exposed: u64,
    /// Permits that were drawn and given back unused, modulo 2⁶⁴.
    returned: u64,
    /// When all slots were last read.
    looked_at: Timestamp,
    records: [Record; SLOTS],
}

/// What is known of one slot.
#[derive(Debug, Default)]
struct Record {
    /// The most permits that can still be spent from the slot. If it is 0, the owner must draw
    /// before it can spend, so the slot can be given to another thread.
    most: u64,
    /// Whether the lease was called back and its owner may not know it yet.
    called_back: bool,
    /// How many permits the owner had after it last drew, and when that was.
    size: u64,
    drawn_at: Timestamp,
    owner: Option<Arc<Life>>,
}

/// The locked ledger. It adds up what has to be settled with the bucket before the ledger is
/// unlocked.
#[must_use]
pub(super) struct LockedLedger<'a> {
    leases: &'a Leases,
    ledger: MutexGuard<'a, Ledger>,
    /// Permits to be given back to the bucket.
    unspent: u64,
    /// Permits that were spent although they had been given back.
    overspent: u64,
}

impl<'a> LockedLedger<'a> {
    pub(super) fn new(leases: &'a Leases, ledger: MutexGuard<'a, Ledger>) -> Self {
        Self { leases, ledger, unspent: 0, overspent: 0 }
    }

    /// The permits to give back to the bucket and the permits to charge to it, since the last call.
    pub(super) fn settle(&mut self) -> (u64, u64) {
        let unspent = std::mem::take(&mut self.unspent);
        self.count_returned(unspent);
        (unspent, std::mem::take(&mut self.overspent))
    }

    /// Counts permits that were drawn and given back unused.
    pub(super) fn count_returned(&mut self, permits: u64) {
        self.ledger.returned = self.ledger.returned.wrapping_add(permits);
    }

    /// The slot of the calling thread and the permits left in it, which are 0 if the lease was
    /// called back. A thread without a slot is given a free one, if there is one.
    pub(super) fn own_slot(&mut self, now: Timestamp) -> Option<(usize, u64)> {
        let Some(index) = self.leases.slot_of(thread::token()) else {
            // A thread that is being torn down cannot be registered.
            let holder = thread::register()?;
            return self.claim(holder, now).map(|index| (index, 0));
        };
        self.look_at(index);
        if self.ledger.records[index].called_back {
            // The owner makes this call, so from now on it does not spend from the lease.
            self.clear(index);
        }
        Some((index, self.ledger.records[index].most))
    }

    /// Gives `holder` a slot from which no thread can spend.
    fn claim(&mut self, holder: Holder, now: Timestamp) -> Option<usize> {
        let home = home_of(holder.token);
        let mut index = self.vacant(home);
        if index.is_none() && self.look_if_due(now) {
            index = self.vacant(home);
        }
        let Some(index) = index else {
            let until = self.ledger.looked_at + LEASE_TIME;
            self.leases.full_until.store(until.as_nanos(), Ordering::Relaxed);
            return None;
        };
        let owner = Some(holder.life);
        self.ledger.records[index] = Record { owner, drawn_at: now, ..Record::default() };
        self.leases.owners.0[index].store(holder.token, Ordering::Relaxed);
        Some(index)
    }

    /// A slot that can be given away: one without an owner, or the one whose owner drew longest
    /// ago.
    fn vacant(&self, home: usize) -> Option<usize> {
        let order = |index: &usize| {
            let record = &self.ledger.records[*index];
            (record.owner.is_some(), *index != home, record.drawn_at)
        };
        (0..SLOTS).filter(|index| self.ledger.records[*index].most == 0).min_by_key(order)
    }

    /// How many permits the owner of slot `index` should have after it has drawn now.
    ///
    /// A lease should last about a millisecond, so a thread that asks rarely holds no permits. A
    /// lease at most doubles with each draw, and takes at most half of what the other leases leave.
    /// So many threads that stop asking while they hold permits do not keep all other threads from
    /// leasing.
    pub(super) fn size(&mut self, index: usize, now: Timestamp) -> u64 {
        let record = &self.ledger.records[index];
        let lasting = match nanos(now - record.drawn_at) {
            0 => u64::MAX,
            took => record.size.saturating_mul(nanos(LEASE_TIME)) / took,
        };
        let size = lasting.min(record.size.saturating_mul(2)).clamp(1, self.leases.batch);
        if self.room(index) < size {
            self.look_if_due(now);
        }
        size.min(self.room(index))
    }

    /// The most that slot `index` may hold.
    fn room(&self, index: usize) -> u64 {
        let all = self.ledger.leased + self.ledger.exposed;
        let others = all.saturating_sub(self.ledger.records[index].most);
        (BATCHES * self.leases.batch).saturating_sub(others) / 2
    }

    /// Announces that permits are about to be leased, so that they can be called back.
    pub(super) fn announce(&self, now: Timestamp) {
        let old = self.leases.call_back_at.load(Ordering::Relaxed);
        let at = old.min((now + LEASE_TIME).as_nanos()).min(NEVER - 1);
        self.leases.call_back_at.store(at, Ordering::Relaxed);
    }

    /// Leaves `left` permits in the slot `index` of the calling thread, which has drawn them and
    /// has taken `spent` permits.
    pub(super) fn keep_lease(&mut self, index: usize, left: u64, spent: u64, now: Timestamp) {
        self.leases.slots[index].left.store(left, Ordering::Release);
        self.set_most(index, left);
        let record = &mut self.ledger.records[index];
        (record.size, record.drawn_at) = (left.saturating_add(spent), now);
        self.clear_call_back();
    }

    /// Gives back the `left` permits of the slot `index` of the calling thread, which was refused.
    pub(super) fn end_lease(&mut self, index: usize, left: u64) {
        self.clear(index);
        self.unspent += left;
        self.clear_call_back();
    }

    /// Calls all leases back except for the lease in slot `except`.
    pub(super) fn call_back(&mut self, except: Option<usize>) {
        let own = self.leases.slot_of(thread::token());
        for index in (0..SLOTS).filter(|index| Some(*index) != except) {
            self.look_at(index);
            let most = self.ledger.records[index].most;
            if most == 0 || self.ledger.records[index].called_back {
                continue;
            }
            self.unspent += most;
            if Some(index) == own {
                self.clear(index);
            } else {
                self.leases.slots[index].called_back.store(most, Ordering::Relaxed);
                self.set_most(index, 0);
                self.ledger.records[index].called_back = true;
                self.set_most(index, most);
            }
        }
        self.clear_call_back();
    }

    /// Notes that there is nothing to call back, if no permit is leased.
    fn clear_call_back(&self) {
        if self.ledger.leased == 0 {
            self.leases.call_back_at.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Reads all slots, unless they were read less than [`LEASE_TIME`] ago. Returns whether it did.
    fn look_if_due(&mut self, now: Timestamp) -> bool {
        let due = !is_soon(self.ledger.looked_at + LEASE_TIME, now);
        if due {
            self.ledger.looked_at = now;
            self.look_at_all();
        }
        due
    }

    /// Reads all slots: what their owners have spent, and whether their owners have ended.
    pub(super) fn look_at_all(&mut self) {
        (0..SLOTS).for_each(|index| self.look_at(index));
    }

    /// Reads one slot.
    fn look_at(&mut self, index: usize) {
        let record = &self.ledger.records[index];
        if record.most == 0 {
            return;
        }
        let called_back = record.called_back;
        // Read before `left`: once the owner has ended, nothing is spent any more.
        let has_ended = record.owner.as_ref().is_some_and(|owner| owner.has_ended());
        let slot = &self.leases.slots[index];
        let left = slot.left.load(Ordering::Acquire);
        if called_back {
            self.overspent += record.most.saturating_sub(left);
            slot.called_back.store(left, Ordering::Relaxed);
        }
        self.set_most(index, left);
        if has_ended {
            self.unspent += if called_back { 0 } else { left };
            self.clear(index);
        }
    }

    /// Empties a slot whose owner has ended or is the calling thread.
    fn clear(&mut self, index: usize) {
        self.set_most(index, 0);
        self.ledger.records[index].called_back = false;
        let slot = &self.leases.slots[index];
        slot.left.store(0, Ordering::Release);
        slot.called_back.store(0, Ordering::Relaxed);
    }

    /// Sets `most` of a slot, and keeps the sums right.
    fn set_most(&mut self, index: usize, most: u64) {
        let ledger = &mut *self.ledger;
        let record = &mut ledger.records[index];
        let sum = if record.called_back { &mut ledger.exposed } else { &mut ledger.leased };
        *sum = *sum - record.most + most;
        record.most = most;
    }

    /// Permits that are leased and could be called back, as of the last reading of the slots.
    pub(super) fn leased(&self) -> u64 {
        self.ledger.leased
    }

    /// Permits that were drawn and given back unused, modulo 2⁶⁴.
    pub(super) fn returned(&self) -> u64 {
        self.ledger.returned
    }
}

/// A duration in nanoseconds, at most 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
