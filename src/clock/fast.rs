//! The CPU's time stamp counter.

use super::Clock;
use crate::Timestamp;

/// The CPU's time stamp counter, by [`quanta`](https://docs.rs/quanta): about half the price of
/// the kernel's clock.
///
/// **The risk:** on machines whose counters differ between cores, in some virtual machines, and
/// after suspend, it can step back or stand still. A limiter then treats the time as not having
/// passed, so it may refuse what was due, but never admits too much. The first use calibrates
/// for up to 200 ms.
///
/// ```
/// use tollgate::{FastClock, Quota, RateLimiter, TokenBucket};
/// let limiter = TokenBucket::builder(Quota::per_second(50)).clock(FastClock::new()).build()?;
/// assert!(limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FastClock {
    clock: quanta::Clock,
}

impl FastClock {
    /// The clock. Its origin is unspecified, but the same for all copies.
    ///
    /// ```
    /// # use tollgate::FastClock;
    /// let clock = FastClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { clock: quanta::Clock::new() }
    }
}

impl Default for FastClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FastClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.clock.delta_as_nanos(0, self.clock.raw()))
    }
}
