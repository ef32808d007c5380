//! A token bucket for very hot limits: threads draw permits from it in batches.
//!
//! A decision is then a few loads and a store in the thread's own cache line: no clock, no shared
//! write, no read-modify-write operation. Permits that a thread holds but does not use are **called
//! back** when other requests would be refused or would have to wait.
//!
//! # The bound
//!
//! In any window of length `w`, at most `burst + rate * w` permits are used. For this, the shared
//! bucket is smaller than `burst` by `16 * batch` permits:
//!
//! * Only the owner of a slot lowers `left`, the permits in the slot, and it takes no lock for
//!   this. So a thread that calls a lease back cannot stop the owner at once. It gives the bucket
//!   the permits that it has read in the slot, and marks the slot. Until the owner sees the mark,
//!   it may spend some of these permits again. Permits that were spent twice are charged to the
//!   bucket once this is noticed.
//! * Let `L` be the permits left in slots without a mark. Let `E` (exposed) be the permits that
//!   were given to the bucket from marked slots and could still be spent again, and `S <= E` the
//!   part of `E` that was spent again and is not charged yet. The ledger keeps an upper bound of
//!   `L + E`, which is at most `8 * batch`.
//! * Let `Φ = level + L - S`. Each used permit lowers Φ by one, whether it comes from the bucket,
//!   from a slot or from a marked slot. Four operations leave Φ as it is or lower it: calling back,
//!   charging, drawing, and emptying a slot whose owner has ended or makes the call itself. Only
//!   refill raises Φ.
//! * `Φ <= bucket + 8 * batch`, because `L <= 8 * batch`. And `level >= E - 8 * batch`: permits are
//!   taken from the bucket only while the level is not negative; calling back raises both sides,
//!   and charging lowers both. So `Φ >= E - 8 * batch - S >= -8 * batch`.
//! * The permits used within a window are Φ before it, minus Φ after it, plus the refill: at most
//!   `bucket + 8 * batch + 8 * batch + rate * w`.
//!
//! ([`consume`](RateLimiter::consume) records permits that are spent already. It only lowers the
//! level, so later requests get less.)

mod build;
mod ledger;
mod slots;
mod thread;
mod verbs;

use std::time::Duration;

use self::ledger::LockedLedger;
use self::slots::{BATCHES, Leases};
use super::core::Core;
use crate::algorithm::GreedyRefill;
use crate::limiters::limiter::Limiter;
use crate::wakers::Wakers;
use crate::{
    Clock, CounterClock, Quota, QuotaError, RateLimiter, Rejection, Timestamp, TokenBucket,
};

/// A token bucket from which threads draw permits in batches: several times cheaper per decision
/// than a shared bucket, and it scales with the number of threads.
///
/// In any window of length `w` it admits at most `burst + rate * w` permits, like a
/// [`TokenBucket`]. In return, the usable burst is `burst - 16 * batch`: no more can be taken at
/// one instant (see [`Usage::limit`](crate::Usage::limit)), because leases may hold the rest.
///
/// It takes 2624 bytes, and 480 bytes on the heap (64-bit Linux, default clock).
///
/// # Leases
///
/// Only [`allow`](RateLimiter::allow), and `allow_n` for at most a batch, take permits from the
/// lease of the calling thread. All other methods use the shared bucket.
///
/// * Each limiter has slots for the leases of 16 threads. A thread that uses only other limiters
///   takes no slot of this one.
/// * A lease is sized to last about a millisecond. The first draw of a thread is what it asks for,
///   and each further draw is at most twice the one before, up to a batch. So a thread that asks
///   rarely holds no permits, and a thread that is refused gives back the permits that it holds.
/// * All leases together hold at most 8 batches. A draw takes at most half of what is left of that.
/// * While 16 other threads hold permits, a thread without a slot uses the shared bucket for each
///   request, as with a `TokenBucket`. The slot of a thread that has ended is free again. A living
///   thread that stops asking in the middle of a lease keeps its slot, but not its permits.
///
/// # Leases are called back
///
/// Permits in a lease are available to all requests, whether the thread that holds them is idle,
/// busy or has ended. A method that would refuse or wait calls all leases back first, and then
/// decides: [`try_acquire`](RateLimiter::try_acquire), `try_acquire_up_to`, `drain`, `delay_for`,
/// all forms of `wait` and `acquire`, and `reserve`; also `consume`, if it leaves a debt. So no
/// permit is leased while somebody waits. An `allow` that would be refused calls leases back too,
/// unless all of them were drawn less than 1 ms ago.
///
/// [`usage`](RateLimiter::usage) counts permits in a lease as not used, and so as remaining.
///
/// ```
/// use tollgate::{LeasedTokenBucket, Quota, RateLimiter};
///
/// let limiter = LeasedTokenBucket::new(Quota::per_second(1_000_000), 64)?;
/// assert!(limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Debug)]
pub struct LeasedTokenBucket<C: Clock = CounterClock> {
    leases: Leases,
    bucket: TokenBucket<C>,
}

impl LeasedTokenBucket {
    /// A limiter for `quota` on the default clock. Each thread draws up to `batch` permits at a
    /// time (at least 1). For other options see
    /// [`LimiterBuilder::build_leased`](crate::LimiterBuilder::build_leased).
    ///
    /// # Errors
    ///
    /// When the limiter cannot keep the quota, or its burst is not above `16 * batch`.
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

/// A request that draws permits for a lease.
#[derive(Clone, Copy)]
struct Ask {
    permits: u64,
    now: Timestamp,
    may_call_back: bool,
}

impl<C: Clock> LeasedTokenBucket<C> {
    /// The most that leases may hold, plus the most that may be spent twice when they are called
    /// back.
    const fn held_back(batch: u64) -> u64 {
        2 * BATCHES * batch
    }

    /// The quota of the shared bucket.
    pub(super) fn inner_quota(quota: Quota, batch: u32) -> Result<Quota, QuotaError> {
        let held_back = Self::held_back(batch.max(1).into());
        match quota.burst_size().checked_sub(held_back) {
            None | Some(0) => Err(QuotaError::BurstBelowLeases { held_back }),
            Some(burst) => Ok(quota.burst(burst)),
        }
    }

    pub(super) fn from_parts(bucket: Limiter<GreedyRefill, C>, batch: u32) -> Self {
        Self { leases: Leases::new(u64::from(batch.max(1))), bucket }
    }

    /// The clock that the limiter reads.
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

    /// Draws permits for the lease of the calling thread and takes `permits` from it, or refuses.
    #[cold]
    fn draw(&self, permits: u64) -> bool {
        let now = self.clock().now();
        let may_call_back = self.leases.may_call_back(now);
        if !may_call_back && self.bucket.is_hopeless(now, permits) {
            self.bucket.refuse(permits);
            return false;
        }
        if permits == 0 || permits > self.leases.batch() || self.leases.is_full(now) {
            return self.ask_bucket(permits, may_call_back);
        }
        let ask = Ask { permits, now, may_call_back };
        let answer = self.with_ledger(now, |ledger, wakers| {
            let (index, left) = ledger.own_slot(now)?;
            Some(self.draw_into(index, left, ask, ledger, wakers))
        });
        match answer {
            Some(true) => true,
            Some(false) => {
                self.bucket.publish_earliest();
                self.bucket.refuse(permits);
                false
            }
            None => self.ask_bucket(permits, may_call_back),
        }
    }

    /// Decides without a lease.
    fn ask_bucket(&self, permits: u64, may_call_back: bool) -> bool {
        if may_call_back {
            self.make_room(permits);
        }
        RateLimiter::allow_n(&self.bucket, permits)
    }

    /// Draws permits for slot `index`, which belongs to the calling thread and has `left` permits.
    /// Returns whether the request is granted.
    fn draw_into(
        &self,
        index: usize,
        mut left: u64,
        ask: Ask,
        ledger: &mut LockedLedger<'_>,
        wakers: &mut Wakers,
    ) -> bool {
        let size = ledger.size(index, ask.now).max(ask.permits);
        self.pay(ledger, ask.now, wakers);
        left += self.take(size.saturating_sub(left), left, ask, ledger, wakers);
        if left < ask.permits && ask.may_call_back {
            ledger.call_back(Some(index));
            self.pay(ledger, ask.now, wakers);
            left += self.take(size.saturating_sub(left), left, ask, ledger, wakers);
        }
        let enough = left >= ask.permits;
        if enough {
            ledger.keep_lease(index, left - ask.permits, ask.permits, ask.now);
        } else {
            ledger.end_lease(index, left);
        }
        enough
    }

    /// Takes up to `most` permits from the bucket, if they are enough for `ask` together with the
    /// `left` permits. Returns how many it took.
    fn take(
        &self,
        most: u64,
        left: u64,
        ask: Ask,
        ledger: &mut LockedLedger<'_>,
        wakers: &mut Wakers,
    ) -> u64 {
        ledger.announce(ask.now);
        let (taken, kept) = self.bucket.lend(wakers, |core, wakers| {
            let taken = core.take_up_to(ask.now, most, wakers);
            let kept = left + taken >= ask.permits;
            if !kept && taken != 0 {
                core.credit(ask.now, taken, wakers);
            }
            (taken, kept)
        });
        if kept {
            return taken;
        }
        ledger.count_returned(taken);
        0
    }

    /// Runs `act` with the ledger locked, and then settles with the bucket. No waiter is woken
    /// before the ledger is unlocked, because wakers may call the limiter.
    fn with_ledger<R>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut LockedLedger<'_>, &mut Wakers) -> R,
    ) -> R {
        // Dropped last, after the lock is released.
        let mut wakers = Wakers::default();
        let mut ledger = self.leases.lock();
        let result = act(&mut ledger, &mut wakers);
        self.pay(&mut ledger, now, &mut wakers);
        result
    }

    /// Gives the bucket the permits that came back from leases, and charges those that were spent
    /// twice.
    fn pay(&self, ledger: &mut LockedLedger<'_>, now: Timestamp, wakers: &mut Wakers) {
        let (unspent, overspent) = ledger.settle();
        if unspent == 0 && overspent == 0 {
            return;
        }
        self.bucket.lend(wakers, |core, wakers| {
            if unspent != 0 {
                core.credit(now, unspent, wakers);
            }
            charge(core, now, overspent, wakers);
        });
    }

    /// Calls all leases back.
    fn call_back_all(&self, now: Timestamp) {
        self.with_ledger(now, |ledger, _| ledger.call_back(None));
    }

    /// Calls all leases back if `permits` are not available otherwise.
    fn make_room(&self, permits: u64) {
        if self.leases.any() && self.bucket_delay(permits).is_ok_and(|delay| !delay.is_zero()) {
            self.call_back_all(self.clock().now());
        }
    }

    /// How long a request for `permits` would wait in the shared bucket.
    fn bucket_delay(&self, permits: u64) -> Result<Duration, Rejection> {
        RateLimiter::delay_for(&self.bucket, permits)
    }

    /// Runs `act` on the shared bucket after all leases were called back.
    fn without_leases<R>(
        &self,
        act: impl FnOnce(&mut Core<GreedyRefill>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let now = self.clock().now();
        self.with_ledger(now, |ledger, wakers| {
            ledger.call_back(None);
            self.pay(ledger, now, wakers);
            self.bucket.lend(wakers, |core, wakers| act(core, now, wakers))
        })
    }
}

/// Charges `permits` that were spent. If the debt could not be repaid before the end of time, as
/// much is charged as possible, and the bucket admits nothing any more.
fn charge(core: &mut Core<GreedyRefill>, now: Timestamp, mut permits: u64, wakers: &mut Wakers) {
    let mut part = permits;
    while permits != 0 && part != 0 {
        part = part.min(permits);
        if core.consume(now, part, wakers).is_ok() {
            permits -= part;
        } else {
            part /= 2;
        }
    }
}

#[cfg(all(test, not(tollgate_loom)))]
mod tests {
    use super::*;
    use crate::algorithm::Algorithm;

    #[test]
    fn a_debt_beyond_the_end_of_time_is_charged_as_far_as_can_be() {
        // Time ends after 584 years.
        let century = Duration::from_secs(100 * 365 * 24 * 3_600);
        let rule = GreedyRefill::try_from(Quota::per(1, century).burst(3)).expect("a quota");
        let (now, mut wakers) = (Timestamp::ZERO, Wakers::default());
        let mut core = Core::new(rule, rule.start(now, 0), now, 0);
        charge(&mut core, now, 2, &mut wakers);
        assert_eq!(core.usage(now, &mut wakers).used, 2);
        charge(&mut core, now, 1_000, &mut wakers);
        assert!(core.usage(now, &mut wakers).used >= 7, "all that can be repaid");
        assert!(core.try_acquire(Timestamp::MAX, 3, &mut wakers).is_err());
    }
}
