//! Who holds how much of a bucket: what is done under the ledger's lock. The proof of the bound is in the
//! [parent module](super).

use std::sync::Arc;
use std::time::Duration;

use super::slots::{BATCHES, Leases, NEVER, SLOTS, YOUNG, home_of, is_soon};
use super::thread::{self, Holder, Life};
use crate::Timestamp;
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

/// What the ledger knows of all slots.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The sum of `most` over the slots that were not called back, and over those that were.
    /// Together at most [`BATCHES`] batches.
    leased: u64,
    exposed: u64,
    /// Permits that were drawn and went back unused, modulo 2⁶⁴.
    returned: u64,
    /// When all slots were last looked at.
    looked_at: Timestamp,
    records: [Record; SLOTS],
}

/// What the ledger knows of one slot.
#[derive(Debug, Default)]
struct Record {
    /// The most that can still be spent from the slot. At 0, the owner can't spend without drawing
    /// first, so the slot can be given to another thread.
    most: u64,
    /// Whether the lease was called back and its owner may not know it yet.
    called_back: bool,
    /// How many permits the owner had after it last drew, and when that was.
    size: u64,
    drawn_at: Timestamp,
    owner: Option<Arc<Life>>,
}

/// The ledger, locked. What has to be settled with the bucket adds up here, and must be paid before
/// the ledger is unlocked.
#[must_use]
pub(super) struct Books<'a> {
    leases: &'a Leases,
    ledger: MutexGuard<'a, Ledger>,
    /// Permits that go back to the bucket.
    unspent: u64,
    /// Permits that were spent although they had gone back.
    overspent: u64,
}

impl<'a> Books<'a> {
    pub(super) fn new(leases: &'a Leases, ledger: MutexGuard<'a, Ledger>) -> Self {
        Self { leases, ledger, unspent: 0, overspent: 0 }
    }

    /// What goes back to the bucket and what the bucket is charged, since the last call.
    pub(super) fn settle(&mut self) -> (u64, u64) {
        let unspent = std::mem::take(&mut self.unspent);
        self.count_returned(unspent);
        (unspent, std::mem::take(&mut self.overspent))
    }

    /// Counts permits that were drawn and went back unused.
    pub(super) fn count_returned(&mut self, permits: u64) {
        self.ledger.returned = self.ledger.returned.wrapping_add(permits);
    }

    /// The slot of the calling thread, which is given one if there is one, and how much is left in
    /// it. If its lease was called back, that is nothing.
    pub(super) fn own(&mut self, now: Timestamp) -> Option<(usize, u64)> {
        let Some(index) = self.leases.slot_of(thread::token()) else {
            // Not registered in a thread that is being torn down.
            let holder = thread::register()?;
            return self.claim(holder, now).map(|index| (index, 0));
        };
        self.look_at(index);
        if self.ledger.records[index].called_back {
            // From here on the owner knows, and spends no more of it.
            self.clear(index);
        }
        Some((index, self.ledger.records[index].most))
    }

    /// Gives a slot that nobody can spend from to `holder`.
    fn claim(&mut self, holder: Holder, now: Timestamp) -> Option<usize> {
        let home = home_of(holder.token);
        let mut index = self.vacant(home);
        if index.is_none() && self.look(now) {
            index = self.vacant(home);
        }
        let Some(index) = index else {
            let until = self.ledger.looked_at + YOUNG;
            self.leases.full_until.store(until.as_nanos(), Ordering::Relaxed);
            return None;
        };
        let owner = Some(holder.life);
        self.ledger.records[index] = Record { owner, drawn_at: now, ..Record::default() };
        self.leases.owners.0[index].store(holder.token, Ordering::Relaxed);
        Some(index)
    }

    /// A slot that can be given away: one without an owner, or that of the owner who drew longest ago.
    fn vacant(&self, home: usize) -> Option<usize> {
        let order = |index: &usize| {
            let record = &self.ledger.records[*index];
            (record.owner.is_some(), *index != home, record.drawn_at)
        };
        (0..SLOTS).filter(|index| self.ledger.records[*index].most == 0).min_by_key(order)
    }

    /// How many permits the owner of slot `index` should have when it draws now.
    ///
    /// A lease is to last about a millisecond: a thread that asks rarely holds none. It at most
    /// doubles each time, and takes no more than half of what others leave, so that many
    /// threads that stopped asking while they held permits do not keep all others from leasing.
    pub(super) fn size(&mut self, index: usize, now: Timestamp) -> u64 {
        let record = &self.ledger.records[index];
        let lasting = match nanos(now - record.drawn_at) {
            0 => u64::MAX,
            took => record.size.saturating_mul(nanos(YOUNG)) / took,
        };
        let size = lasting.min(record.size.saturating_mul(2)).clamp(1, self.leases.batch);
        if self.room(index) < size {
            self.look(now);
        }
        size.min(self.room(index))
    }

    /// The most that slot `index` may hold.
    fn room(&self, index: usize) -> u64 {
        let all = self.ledger.leased + self.ledger.exposed;
        let others = all.saturating_sub(self.ledger.records[index].most);
        (BATCHES * self.leases.batch).saturating_sub(others) / 2
    }

    /// Says that permits are about to be leased, so that they can be called back.
    pub(super) fn announce(&self, now: Timestamp) {
        let old = self.leases.next_call.load(Ordering::Relaxed);
        let at = old.min((now + YOUNG).as_nanos()).min(NEVER - 1);
        self.leases.next_call.store(at, Ordering::Relaxed);
    }

    /// Leaves `left` permits in the calling thread's own slot `index`, after `spent` were taken from
    /// what it drew.
    pub(super) fn leave(&mut self, index: usize, left: u64, spent: u64, now: Timestamp) {
        self.leases.slots[index].left.store(left, Ordering::Release);
        self.set_most(index, left);
        let record = &mut self.ledger.records[index];
        (record.size, record.drawn_at) = (left.saturating_add(spent), now);
        self.forget_call();
    }

    /// Takes all that is `left` out of the calling thread's own slot `index`: it was refused.
    pub(super) fn give_up(&mut self, index: usize, left: u64) {
        self.clear(index);
        self.unspent += left;
        self.forget_call();
    }

    /// Calls all leases back, but for that in slot `except`.
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
        self.forget_call();
    }

    /// While nothing is leased, nothing can be called back.
    fn forget_call(&self) {
        if self.ledger.leased == 0 {
            self.leases.next_call.store(NEVER, Ordering::Relaxed);
        }
    }

    /// Looks at all slots, unless that was done less than a moment ago.
    fn look(&mut self, now: Timestamp) -> bool {
        let due = !is_soon(self.ledger.looked_at + YOUNG, now);
        if due {
            self.ledger.looked_at = now;
            self.look_at_all();
        }
        due
    }

    /// Brings the ledger up to date with what owners have spent, and whether they have ended.
    pub(super) fn look_at_all(&mut self) {
        (0..SLOTS).for_each(|index| self.look_at(index));
    }

    fn look_at(&mut self, index: usize) {
        let record = &self.ledger.records[index];
        if record.most == 0 {
            return;
        }
        let called_back = record.called_back;
        // The end first: after it, nothing is spent any more.
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

    /// Empties a slot whose owner has ended, or is the calling thread.
    fn clear(&mut self, index: usize) {
        self.set_most(index, 0);
        self.ledger.records[index].called_back = false;
        let slot = &self.leases.slots[index];
        slot.left.store(0, Ordering::Release);
        slot.called_back.store(0, Ordering::Relaxed);
    }

    fn set_most(&mut self, index: usize, most: u64) {
        let ledger = &mut *self.ledger;
        let record = &mut ledger.records[index];
        let sum = if record.called_back { &mut ledger.exposed } else { &mut ledger.leased };
        *sum = *sum - record.most + most;
        record.most = most;
    }

    /// Permits that are leased and could be called back, as of the last look.
    pub(super) fn leased(&self) -> u64 {
        self.ledger.leased
    }

    /// Permits that were drawn and went back unused, modulo 2⁶⁴.
    pub(super) fn returned(&self) -> u64 {
        self.ledger.returned
    }
}

/// A duration in nanoseconds, at most 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
