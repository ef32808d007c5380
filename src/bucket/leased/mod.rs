//! A token bucket for very hot limits: threads draw permits from it in batches.
//!
//! A decision is then a few loads and a store in a cache line of the thread's own: no clock, no shared
//! write, no read-modify-write. What a thread holds but does not use is **called back** when
//! others would be refused or have to wait.
//!
//! # The bound
//!
//! In any window of length `w`, at most `burst + rate * w` permits are used. The bucket inside is
//! smaller than `burst` by `16 * batch` permits to make that true:
//!
//! * Only the owner lowers what is `left` in its slot, and it takes no lock for that. So whoever calls a
//!   lease back can't stop the owner at once: it gives the bucket what it read, and marks the slot.
//!   Until the owner sees the mark, it may spend some of that again. What was spent twice is charged
//!   to the bucket when it is seen.
//! * Let `L` be what is left in slots that are not marked, `E` (exposed) what was given to the bucket from
//!   marked slots and could still be spent again, and `S <= E` the part of it that was spent again and
//!   is not charged yet. The ledger keeps an upper bound of `L + E` below `8 * batch`.
//! * Let `Φ = level + L - S`. A use lowers Φ by one, whether it is from the bucket, from a slot or from a
//!   marked slot. Calling back, charging, drawing, and emptying a slot whose owner has ended or
//!   asks itself leave Φ as it is or lower it. Only refill raises it.
//! * `Φ <= bucket + 8 * batch`, because `L <= 8 * batch`. And `level >= E - 8 * batch`: permits come out of the
//!   bucket only while the level is not negative; calling back raises both sides, charging lowers
//!   both. So `Φ >= E - 8 * batch - S >= -8 * batch`.
//! * The uses within a window are what Φ was before, less what it is after, plus what was refilled: at most
//!   `bucket + 8 * batch + 8 * batch + rate * w`.
//!
//! ([`consume`](RateLimiter::consume) records permits that are spent already, and only makes the level
//! lower: whoever asks gets less.)

mod ledger;
mod slots;
mod thread;
mod verbs;

use std::time::Duration;

use self::ledger::Books;
use self::slots::{BATCHES, Leases};
use super::core::Core;
use super::locked::Limiter;
use crate::algorithm::GreedyRefill;
use crate::wait::queue::Wakers;
use crate::{
    Clock, CounterClock, Quota, QuotaError, RateLimiter, Rejection, Timestamp, TokenBucket,
};

/// A token bucket from which threads draw permits in batches: several times cheaper per decision than
/// a shared one, and it scales.
///
/// In any window of length `w` it admits at most `burst + rate * w` permits, like a
/// [`TokenBucket`]. That costs a part of the burst: `16 * batch` permits are held back for what
/// leases may hold, so at most `burst - 16 * batch` can be taken at one instant (see
/// [`Usage::limit`](crate::Usage::limit)).
///
/// # Who holds a lease
///
/// [`allow`](RateLimiter::allow), and `allow_n` for no more than a batch, take from the calling
/// thread's lease; all other methods ask the shared bucket.
///
/// * Each limiter has room for the leases of 16 threads. Who uses other limiters takes no room here.
/// * A lease is made to last about a millisecond. A thread's first draw is just what it asks for, and each
///   further draw at most doubles, up to a batch. So a thread that asks rarely holds nothing, and a
///   thread that is refused gives back what it holds.
/// * All leases together hold at most 8 batches. A draw takes at most half of what is left of that.
/// * A thread without a lease asks the shared bucket each time, as with a `TokenBucket`. That
///   happens while 16 others hold permits. The room of a thread that has ended is free again.
///   A living thread that stopped asking in the middle of a lease keeps its room, but not its permits.
///
/// # Leases are called back
///
/// Permits that others hold are there for everybody who needs them, whether their holder is idle,
/// busy or has ended. A method that would refuse or wait calls all leases back first, and then
/// decides: [`try_acquire`](RateLimiter::try_acquire), `try_acquire_up_to`, `drain`,
/// `delay_for`, all forms of `wait` and `acquire`, and `reserve`. `consume` does so when it leaves a debt. So
/// nothing is leased while somebody waits. An `allow` that would be refused does so too, unless all
/// leases were drawn less than 1 ms ago.
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
    /// A limiter for `quota` on the default clock; each thread draws up to `batch` permits at a time
    /// (at least 1). For other options see [`LimiterBuilder::build_leased`](crate::LimiterBuilder::build_leased).
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

/// A request for permits from a lease.
#[derive(Clone, Copy)]
struct Ask {
    permits: u64,
    now: Timestamp,
    may_call_back: bool,
}

impl<C: Clock> LeasedTokenBucket<C> {
    /// What leases may hold at most, and what may be spent twice when they are called back.
    const fn held_back(batch: u64) -> u64 {
        2 * BATCHES * batch
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
        Self { leases: Leases::new(u64::from(batch.max(1))), bucket }
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

    /// Draws for the calling thread's lease and takes `permits` from it, or refuses.
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
        let answer = self.with_ledger(now, |books, wakers| {
            let (index, left) = books.own(now)?;
            Some(self.draw_into(index, left, ask, books, wakers))
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

    /// Draws for slot `index`, which is the calling thread's and has so much `left`.
    fn draw_into(
        &self,
        index: usize,
        mut left: u64,
        ask: Ask,
        books: &mut Books<'_>,
        wakers: &mut Wakers,
    ) -> bool {
        let size = books.size(index, ask.now).max(ask.permits);
        self.pay(books, ask.now, wakers);
        left += self.take(size.saturating_sub(left), left, ask, books, wakers);
        if left < ask.permits && ask.may_call_back {
            books.call_back(Some(index));
            self.pay(books, ask.now, wakers);
            left += self.take(size.saturating_sub(left), left, ask, books, wakers);
        }
        let enough = left >= ask.permits;
        if enough {
            books.leave(index, left - ask.permits, ask.permits, ask.now);
        } else {
            books.give_up(index, left);
        }
        enough
    }

    /// Takes up to `most` permits from the bucket, if they make what is `left` enough for `ask`.
    fn take(
        &self,
        most: u64,
        left: u64,
        ask: Ask,
        books: &mut Books<'_>,
        wakers: &mut Wakers,
    ) -> u64 {
        books.announce(ask.now);
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
        books.count_returned(taken);
        0
    }

    /// Runs `act` under the ledger, and settles with the bucket what it leaves to be settled. Nobody
    /// is woken before the ledger is unlocked: wakers may call the limiter.
    fn with_ledger<R>(
        &self,
        now: Timestamp,
        act: impl FnOnce(&mut Books<'_>, &mut Wakers) -> R,
    ) -> R {
        // Dropped last.
        let mut wakers = Wakers::default();
        let mut books = self.leases.lock();
        let result = act(&mut books, &mut wakers);
        self.pay(&mut books, now, &mut wakers);
        result
    }

    /// Gives the bucket what went back from leases, and charges what was spent twice.
    fn pay(&self, books: &mut Books<'_>, now: Timestamp, wakers: &mut Wakers) {
        let (unspent, overspent) = books.settle();
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

    fn call_back_all(&self, now: Timestamp) {
        self.with_ledger(now, |books, _| books.call_back(None));
    }

    /// Calls all leases back if `permits` could not be had at once without that.
    fn make_room(&self, permits: u64) {
        if self.leases.any() && self.bucket_delay(permits).is_ok_and(|delay| !delay.is_zero()) {
            self.call_back_all(self.clock().now());
        }
    }

    fn bucket_delay(&self, permits: u64) -> Result<Duration, Rejection> {
        RateLimiter::delay_for(&self.bucket, permits)
    }

    /// Runs `act` on the bucket after all leases were called back.
    fn without_leases<R>(
        &self,
        act: impl FnOnce(&mut Core<GreedyRefill>, Timestamp, &mut Wakers) -> R,
    ) -> R {
        let now = self.clock().now();
        self.with_ledger(now, |books, wakers| {
            books.call_back(None);
            self.pay(books, now, wakers);
            self.bucket.lend(wakers, |core, wakers| act(core, now, wakers))
        })
    }
}

/// Charges `permits` that were spent. Of a debt that could not be repaid before the end of time, as
/// much is charged as can be: then nothing is admitted any more.
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
        // 584 years is the end of time.
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
