//! The default clock: the kernel's.

use std::time::Instant;

use super::Clock;
use crate::Timestamp;

/// The kernel's monotonic clock, [`std::time::Instant`]: never steps back, the same on every core.
///
/// ```
/// use tollgate::{Clock, MonotonicClock};
/// let clock = MonotonicClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    origin: Instant,
}

impl MonotonicClock {
    /// A clock that starts now.
    ///
    /// ```
    /// # use tollgate::MonotonicClock;
    /// let clock = MonotonicClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let elapsed = Instant::now().saturating_duration_since(self.origin);
        // 64 bits of nanoseconds last 584 years from the clock's creation.
        Timestamp::from_nanos(
            elapsed
                .as_secs()
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(elapsed.subsec_nanos())),
        )
    }
}
