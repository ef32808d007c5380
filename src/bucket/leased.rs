//! A token bucket for very hot limits: each thread draws permits in batches.
//!
//! A decision is then a load and a store in a cache line of the thread's own: no clock, no shared
//! write, no read-modify-write. What a thread holds but does not use is **recalled** when another
//! one finds the bucket empty.
//!
//! # The bound
//!
//! Only the owner writes what is `left` in its slot, so a recall can't stop it at once: the
//! recaller gives the bucket what it read, and marks the slot; until the owner sees the mark, it may
//! spend some of that again. It notices at its next draw at the latest, and what it spent twice is
//! then taken from the bucket. At any time a slot thus stands for at most two batches beyond the
//! bucket: one drawn and not used, one recalled and spent again. Held back from the burst are
//! `2 * threads * batch` permits, so in any window of length `w` at most `burst + rate * w` permits
//! are used. (Let Φ = level + all that is left in unmarked slots − what was spent twice and not
//! charged yet. A use lowers Φ by 1, only refill raises it, and
//! `-threads * batch <= Φ <= inner burst + threads * batch`.)

use std::time::Duration;

use super::core::Core;
use super::gate::Gate;
use super::locked::Limiter;
use super::thread_slot;
use crate::algorithm::{Algorithm, GreedyRefill};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wait::WaitQueue;
use crate::wait::queue::Wakers;
use crate::{
    CarryOver, Clock, ConsumeError, Grant, MonotonicClock, Quota, QuotaError, RateLimiter,
    Rejection, Timestamp, TokenBucket, Usage,
};

/// How many threads may hold a lease; others ask the bucket each time.
#[cfg(not(tollgate_loom))]
const THREADS: usize = 8;
#[cfg(tollgate_loom)]
const THREADS: usize = 3;

/// A lease that has not been used for this long may be recalled.
const IDLE: Duration = Duration::from_millis(1);

/// A token bucket from which up to 8 threads draw permits in batches: several times cheaper per
/// decision than a shared one, and it scales.
///
/// It stays inside the quota in every window, because what leases may hold is held back from the
/// burst: `16 * batch` permits of it are never to be had (see [`Usage::limit`]). What idle threads
/// hold comes back when another thread needs it.
///
/// [`allow`](RateLimiter::allow) and `allow_n` up to a batch use the lease; all other verbs ask the
/// bucket itself. Leases go to the first 8 living threads of the process that use any leased limiter
/// or are refused by a [`TokenBucket`](crate::TokenBucket); further threads ask the bucket each time.
/// A lease was paid for when it was drawn, so it may be used while others wait, or right after a
/// [`consume`](RateLimiter::consume); those who wait do not call leases back.
/// [`Usage::allowed`] counts permits drawn.
///
/// ```
/// use tollgate::{LeasedTokenBucket, Quota, RateLimiter};
///
/// let limiter = LeasedTokenBucket::new(Quota::per_second(1_000_000), 64)?;
/// assert!(limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct LeasedTokenBucket<C: Clock = MonotonicClock> {
    bucket: TokenBucket<C>,
    batch: u64,
    slots: [Slot; THREADS],
    /// Draws and recalls, one at a time. Wakers and events may call back into the limiter, so they wait
    /// until it is unlocked.
    ledger: Mutex<[Seen; THREADS]>,
    /// Before this time, no lease can be found idle.
    next_look: AtomicU64,
}

/// A thread's lease, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    /// Permits left. Written by the owning thread only.
    left: AtomicU64,
    /// Permits the bucket was given back from this slot and the owner does not know of yet.
    recalled: AtomicU64,
}

/// What was left in a slot when it was last looked at, to tell who is idle.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    left: u64,
    since: Timestamp,
}

impl LeasedTokenBucket {
    /// A limiter for `quota` on the kernel's clock; each thread draws `batch` permits at a time
    /// (at least 1). For other options see [`Builder::build_leased`](crate::Builder::build_leased).
    ///
    /// # Errors
    ///
    /// When the quota can't be kept, or its burst is not above `16 * batch`.
    ///
    /// ```
    /// use tollgate::{LeasedTokenBucket, Quota, QuotaError};
    /// let too_small = LeasedTokenBucket::new(Quota::per_second(100), 64).unwrap_err();
    /// assert_eq!(too_small, QuotaError::BurstBelowLeases { held_back: 1024 });
    /// ```
    pub fn new(quota: Quota, batch: u32) -> Result<Self, QuotaError> {
        TokenBucket::builder(quota).build_leased(batch)
    }
}

impl<C: Clock> LeasedTokenBucket<C> {
    /// What outstanding leases may hold at most.
    const fn held_back(batch: u64) -> u64 {
        2 * THREADS as u64 * batch
    }

    /// The quota of the bucket that leases are drawn from.
    pub(super) fn inner_quota(quota: Quota, batch: u32) -> Result<Quota, QuotaError> {
        let held_back = Self::held_back(batch.max(1).into());
        match quota.burst_size().checked_sub(held_back) {
            None | Some(0) => Err(QuotaError::BurstBelowLeases { held_back }),
            Some(burst) => Ok(quota.burst(burst)),
        }
    }

    pub(super) fn from_parts(bucket: Limiter<GreedyRefill, C>, batch: u32) -> Self {
        Self {
            bucket,
            batch: u64::from(batch.max(1)),
            slots: std::array::from_fn(|_| Slot::default()),
            ledger: Mutex::new([Seen::default(); THREADS]),
            next_look: AtomicU64::new(0),
        }
    }

    /// The clock.
    ///
    /// ```
    /// # use tollgate::{Clock, LeasedTokenBucket, Quota};
    /// let limiter = LeasedTokenBucket::new(Quota::per_second(5_000), 16)?;
    /// assert!(limiter.clock().now() <= limiter.clock().now());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    pub fn clock(&self) -> &C {
        self.bucket.clock()
    }

    #[inline]
    fn take_leased(&self, permits: u64) -> bool {
        let Some(slot) = self.slots.get(thread_slot::current()) else {
            return RateLimiter::allow_n(&self.bucket, permits);
        };
        let left = slot.left.load(Ordering::Relaxed);
        if permits <= left && slot.recalled.load(Ordering::Relaxed) == 0 && permits != 0 {
            slot.left.store(left - permits, Ordering::Relaxed);
            return true;
        }
        self.draw(slot, permits)
    }

    /// Refills the lease and takes `permits` from it.
    #[cold]
    fn draw(&self, slot: &Slot, permits: u64) -> bool {
        if permits == 0 || permits > self.batch {
            return RateLimiter::allow_n(&self.bucket, permits);
        }
        let now = self.clock().now();
        let marked = slot.recalled.load(Ordering::Relaxed) != 0;
        let too_early = now.as_nanos() < self.next_look.load(Ordering::Relaxed);
        if !marked && too_early && self.bucket.is_hopeless(now, permits) {
            self.bucket.refuse(permits);
            return false;
        }
        let mut wakers = Wakers::default();
        let mut ledger = self.ledger.lock();
        let mut left = self.acknowledge(slot, &mut wakers);
        left += self.take_up_to(self.batch - left, &mut wakers);
        if left < permits && self.recall_idle(Some(slot), &mut ledger, now, &mut wakers) {
            left += self.take_up_to(self.batch - left, &mut wakers);
        }
        let enough = left >= permits;
        // A new lease may lie idle one day.
        self.next_look.fetch_min((now + IDLE).as_nanos(), Ordering::Relaxed);
        slot.left.store(if enough { left - permits } else { left }, Ordering::Relaxed);
        if !enough {
            self.next_look.store(self.earliest_idle(slot, now), Ordering::Relaxed);
            self.bucket.publish_earliest();
        }
        drop(ledger);
        drop(wakers);
        if !enough {
            self.bucket.refuse(permits);
        }
        enough
    }

    fn take_up_to(&self, permits: u64, wakers: &mut Wakers) -> u64 {
        self.on_bucket(wakers, |core, now, wakers| core.take_up_to(now, permits, wakers))
    }

    /// Runs `act` on the bucket's core; for use under the ledger.
    fn on_bucket<R>(
        &self,
        wakers: &mut Wakers,
        act: impl FnOnce(&mut Core<GreedyRefill>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let now = self.clock().now();
        self.bucket.lend(wakers, |core, wakers| act(core, now, wakers))
    }

    /// What is really left in the owner's slot. If it was recalled, that is nothing, and what was
    /// spent of it since is charged.
    fn acknowledge(&self, slot: &Slot, wakers: &mut Wakers) -> u64 {
        let left = slot.left.load(Ordering::Relaxed);
        let recalled = slot.recalled.load(Ordering::Relaxed);
        if recalled == 0 {
            return left;
        }
        // A debt of less than a batch is never too large.
        let spent_twice = recalled.saturating_sub(left);
        let _ = self.on_bucket(wakers, |core, now, wakers| core.consume(now, spent_twice, wakers));
        slot.left.store(0, Ordering::Relaxed);
        slot.recalled.store(0, Ordering::Relaxed);
        0
    }

    /// Takes back what other threads hold and have not used for a while.
    fn recall_idle(
        &self,
        own: Option<&Slot>,
        ledger: &mut [Seen; THREADS],
        now: Timestamp,
        wakers: &mut Wakers,
    ) -> bool {
        let mut recalled = false;
        for (slot, seen) in self.slots.iter().zip(ledger) {
            let left = slot.left.load(Ordering::Relaxed);
            let is_own = own.is_some_and(|own| std::ptr::eq(slot, own));
            if is_own || left == 0 || slot.recalled.load(Ordering::Relaxed) != 0 {
                continue;
            }
            if left != seen.left {
                *seen = Seen { left, since: now };
            } else if now - seen.since >= IDLE {
                self.recall(slot, left, wakers);
                recalled = true;
            }
        }
        recalled
    }

    /// Calls back what lies idle, for one who holds no lease.
    fn reclaim(&self) {
        // Dropped after the ledger.
        let mut wakers = Wakers::default();
        let now = self.clock().now();
        let mut ledger = self.ledger.lock();
        self.recall_idle(None, &mut ledger, now, &mut wakers);
    }

    fn recall(&self, slot: &Slot, left: u64, wakers: &mut Wakers) {
        slot.recalled.store(left, Ordering::Relaxed);
        self.on_bucket(wakers, |core, now, wakers| core.credit(now, left, wakers));
    }

    /// The next time at which a lease of another thread may be found idle.
    fn earliest_idle(&self, own: &Slot, now: Timestamp) -> u64 {
        let held_elsewhere = self.slots.iter().any(|slot| {
            !std::ptr::eq(slot, own)
                && slot.left.load(Ordering::Relaxed) != 0
                && slot.recalled.load(Ordering::Relaxed) == 0
        });
        if held_elsewhere { (now + IDLE).as_nanos() } else { u64::MAX }
    }

    /// What unmarked leases hold.
    fn outstanding(&self) -> u64 {
        let unmarked = |slot: &&Slot| slot.recalled.load(Ordering::Relaxed) == 0;
        self.slots.iter().filter(unmarked).map(|slot| slot.left.load(Ordering::Relaxed)).sum()
    }

    /// Runs `act` on the bucket after all leases were called back; they are drawn anew.
    fn without_leases<R>(
        &self,
        act: impl FnOnce(&mut Core<GreedyRefill>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        // Dropped after the ledger.
        let mut wakers = Wakers::default();
        let _ledger = self.ledger.lock();
        for slot in &self.slots {
            let left = slot.left.load(Ordering::Relaxed);
            if left != 0 && slot.recalled.load(Ordering::Relaxed) == 0 {
                self.recall(slot, left, &mut wakers);
            }
        }
        self.on_bucket(&mut wakers, act)
    }
}

impl<C: Clock> RateLimiter for LeasedTokenBucket<C> {
    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        self.take_leased(permits)
    }

    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
        // A look first, so that no request is refused, and counted, twice.
        if self.delay_for(permits).is_ok_and(|delay| !delay.is_zero()) {
            self.reclaim();
        }
        RateLimiter::try_acquire(&self.bucket, permits)
    }

    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        RateLimiter::delay_for(&self.bucket, permits)
    }

    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        RateLimiter::consume(&self.bucket, permits)
    }

    fn credit(&self, permits: u64) {
        RateLimiter::credit(&self.bucket, permits);
    }

    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        RateLimiter::try_acquire_up_to(&self.bucket, permits)
    }

    fn usage(&self) -> Usage {
        let usage = RateLimiter::usage(&self.bucket);
        let held = self.outstanding();
        Usage {
            used: usage.used.saturating_sub(held),
            remaining: usage.remaining.saturating_add(held).min(usage.limit),
            ..usage
        }
    }

    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        // A batch came from a `u32`.
        let batch = u32::try_from(self.batch).unwrap_or(u32::MAX);
        let inner = Self::inner_quota(quota, batch)?;
        self.without_leases(|core, now, wakers| {
            let rule = core.rest.rule.with_quota(inner)?;
            core.set_rule(now, rule, how, wakers);
            Ok(())
        })?;
        self.bucket.log_quota(inner, how);
        Ok(())
    }

    fn quota(&self) -> Quota {
        let inner = RateLimiter::quota(&self.bucket);
        inner.burst(inner.burst_size().saturating_add(Self::held_back(self.batch)))
    }

    fn reset(&self) {
        self.without_leases(Core::reset);
        self.bucket.log_reset();
    }

    fn close(&self) {
        if self.without_leases(Core::close) {
            self.bucket.log_closed();
        }
    }

    fn is_closed(&self) -> bool {
        RateLimiter::is_closed(&self.bucket)
    }

    fn queue(&self) -> &dyn WaitQueue {
        RateLimiter::queue(&self.bucket)
    }
}
