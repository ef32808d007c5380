//! The last refusal, published for those who ask again too early: they are refused without the lock, with the answer
//! that the lock would give.
//!
//! What is published are points in time, which do not change while nobody takes or gives anything. Whoever changes the
//! state under the lock withdraws the publication before the lock is free.
//!
//! A sequence lock: readers try again under the limiter's lock if the number has changed meanwhile, or is odd. Writers
//! hold the limiter's lock, so there is one at a time.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::{Rejection, Timestamp, WhichLimit};

/// What a refusal says, as points in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Nobody gets a permit before this time.
    pub(crate) until: Timestamp,
    /// When the decision was made: earlier readings of the clock count as this one.
    pub(crate) latest: Timestamp,
    /// The request that was refused.
    pub(crate) permits: u64,
    /// When so many permits can be taken, and which limit makes them wait.
    pub(crate) ready: Timestamp,
    pub(crate) limit: WhichLimit,
    /// The same for one permit.
    pub(crate) one_ready: Timestamp,
    pub(crate) one_limit: WhichLimit,
    /// When nothing is used any more.
    pub(crate) full_at: Timestamp,
    pub(crate) burst: u64,
}

/// A published refusal; on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Published {
    /// Nobody gets a permit before this time; 0 while that is not known. Written under the lock.
    ///
    /// Relaxed is enough: it is a lower bound that held when it was stored, and any verb that makes
    /// permits come sooner clears it before it returns, so whoever knows of that verb sees it.
    until: AtomicU64,
    /// Even while the rest belongs together.
    number: AtomicU64,
    latest: AtomicU64,
    permits: AtomicU64,
    ready: AtomicU64,
    limit: AtomicUsize,
    one_ready: AtomicU64,
    one_limit: AtomicUsize,
    full_at: AtomicU64,
    burst: AtomicU64,
}

impl Published {
    /// Whether `now` is too early for anybody.
    #[inline]
    pub(super) fn is_too_early(&self, now: Timestamp) -> bool {
        now.as_nanos() < self.until.load(Ordering::Relaxed)
    }

    /// Withdraws what was published. Written only when it must change, to leave the line with the readers.
    #[inline]
    pub(super) fn withdraw(&self) {
        if self.until.load(Ordering::Relaxed) != 0 {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Publishes a refusal; for use under the lock.
    pub(super) fn publish(&self, refusal: Option<Refusal>) {
        let Some(refusal) = refusal else { return self.withdraw() };
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number.wrapping_add(1), Ordering::Relaxed);
        // Whoever reads one of the stores below, and then looks at the number, sees that it is odd or another.
        fence(Ordering::Release);
        self.latest.store(refusal.latest.as_nanos(), Ordering::Relaxed);
        self.permits.store(refusal.permits, Ordering::Relaxed);
        self.ready.store(refusal.ready.as_nanos(), Ordering::Relaxed);
        self.limit.store(code_of(refusal.limit), Ordering::Relaxed);
        self.one_ready.store(refusal.one_ready.as_nanos(), Ordering::Relaxed);
        self.one_limit.store(code_of(refusal.one_limit), Ordering::Relaxed);
        self.full_at.store(refusal.full_at.as_nanos(), Ordering::Relaxed);
        self.burst.store(refusal.burst, Ordering::Relaxed);
        self.until.store(refusal.until.as_nanos(), Ordering::Relaxed);
        self.number.store(number.wrapping_add(2), Ordering::Release);
    }

    /// The answer for so many permits, if it is the published one.
    #[inline]
    pub(super) fn answer(&self, now: Timestamp, permits: u64) -> Option<Rejection> {
        let number = self.number.load(Ordering::Acquire);
        let time = |at: &AtomicU64| Timestamp::from_nanos(at.load(Ordering::Relaxed));
        let until = time(&self.until);
        let (ready, limit) = match permits {
            1 => (time(&self.one_ready), self.one_limit.load(Ordering::Relaxed)),
            _ => (time(&self.ready), self.limit.load(Ordering::Relaxed)),
        };
        let same = permits == 1 || permits == self.permits.load(Ordering::Relaxed);
        let (latest, full_at) = (time(&self.latest), time(&self.full_at));
        let burst = self.burst.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = number % 2 == 0 && self.number.load(Ordering::Relaxed) == number;
        let now = now.max(latest);
        if !whole || !same || now >= until {
            return None;
        }
        // Before that time not one permit is there, or all are for those who wait.
        let (retry_after, reset_after) = (ready - now, full_at - now);
        let limit = limit_of(limit);
        Some(Rejection::Denied { retry_after, available: 0, reset_after, burst, limit })
    }
}

/// A limit as a number: its place and two, which leaves 0 and 1 for the others.
fn code_of(limit: WhichLimit) -> usize {
    match limit {
        WhichLimit::Only => 0,
        WhichLimit::Global => 1,
        WhichLimit::Nth(nth) => nth.saturating_add(2),
    }
}

fn limit_of(code: usize) -> WhichLimit {
    match code {
        0 => WhichLimit::Only,
        1 => WhichLimit::Global,
        nth => WhichLimit::Nth(nth - 2),
    }
}
