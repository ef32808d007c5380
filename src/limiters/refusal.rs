//! The last refusal, published for requests that are made too early. They are refused without the
//! lock, with the answer that they would get under the lock.
//!
//! The published values are points in time, which do not change as long as no permits are taken or
//! given back. Whoever changes the state under the lock withdraws the published refusal before the
//! lock is released.
//!
//! The published values form a sequence lock. If the number has changed while they were read, or is
//! odd, the reader takes the limiter's lock instead. Writers hold the limiter's lock, so there is
//! only one at a time.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::{Rejection, Timestamp, WhichLimit};

/// A refusal, as points in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// No request gets a permit before this time.
    pub(crate) until: Timestamp,
    /// When the decision was made. An earlier reading of the clock counts as this time.
    pub(crate) latest: Timestamp,
    /// How many permits were refused.
    pub(crate) permits: u64,
    /// When that many permits can be taken, and which limit refused them.
    pub(crate) ready: Timestamp,
    pub(crate) limit: WhichLimit,
    /// The same for one permit.
    pub(crate) one_ready: Timestamp,
    pub(crate) one_limit: WhichLimit,
    /// When no permit will be in use any more.
    pub(crate) full_at: Timestamp,
    pub(crate) burst: u64,
}

/// A published refusal, on cache lines that hold nothing else.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Published {
    /// No request gets a permit before this time; 0 while this is not known. Written under the
    /// lock.
    ///
    /// Relaxed ordering is enough. The value is a lower bound that held when it was stored. A
    /// method that makes permits available sooner clears it before it returns, so every call that
    /// happens after that method sees the cleared value.
    until: AtomicU64,
    /// Odd while the values below are being written, and different after each change of them.
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
    /// Whether no request can pass at `now`.
    #[inline]
    pub(crate) fn is_too_early(&self, now: Timestamp) -> bool {
        now.as_nanos() < self.until.load(Ordering::Relaxed)
    }

    /// Withdraws the published refusal. It writes only if there is one, so that the cache line
    /// stays with the readers.
    #[inline]
    pub(crate) fn withdraw(&self) {
        if self.until.load(Ordering::Relaxed) != 0 {
            self.until.store(0, Ordering::Relaxed);
        }
    }

    /// Publishes a refusal, or withdraws the published one. To be called under the lock.
    pub(crate) fn publish(&self, refusal: Option<Refusal>) {
        let Some(refusal) = refusal else { return self.withdraw() };
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number.wrapping_add(1), Ordering::Relaxed);
        // A reader that sees one of the stores below, and then reads the number again, sees a
        // number that is odd or has changed.
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

    /// The answer to a request for `permits`, if it is published.
    #[inline]
    pub(crate) fn answer(&self, now: Timestamp, permits: u64) -> Option<Rejection> {
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
        // Before `until`, no permit is available, or all are for waiters.
        let (retry_after, reset_after) = (ready - now, full_at - now);
        let limit = limit_of(limit);
        Some(Rejection::Denied { retry_after, available: 0, reset_after, burst, limit })
    }
}

/// A limit as a number: 0, 1, or the place of the limit plus 2.
fn code_of(limit: WhichLimit) -> usize {
    match limit {
        WhichLimit::Only => 0,
        WhichLimit::Global => 1,
        WhichLimit::Nth(nth) => nth.saturating_add(2),
    }
}

/// The limit of a [code](code_of).
fn limit_of(code: usize) -> WhichLimit {
    match code {
        0 => WhichLimit::Only,
        1 => WhichLimit::Global,
        nth => WhichLimit::Nth(nth - 2),
    }
}
