//! The kernel's monotonic clock.

use super::Clock;
use crate::Timestamp;

/// The kernel's monotonic clock, as used by [`std::time::Instant`]: it never steps back, and it is
/// the same on all cores.
///
/// The default clock, [`CounterClock`](crate::CounterClock), follows this clock at less than half
/// the cost. Use this one if a limiter must never be ahead of the kernel's time, not even by a
/// microsecond.
///
/// # Suspend
///
/// **On Linux and Android, the time for which the machine is suspended does not count.** After a
/// suspend, limiters have the level they had before it, and waiters wait for the rest of their
/// time. So a suspend never lets more requests through; a server whose clock kept running might
/// allow more. On other systems, the clock does what [`std::time::Instant`] does there.
///
/// ```
/// use tollgate::{Clock, MonotonicClock};
/// let clock = MonotonicClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(());

impl MonotonicClock {
    /// Makes a clock. The origin is unspecified, but the same for all clocks of this type.
    ///
    /// ```
    /// # use tollgate::MonotonicClock;
    /// let clock = MonotonicClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(())
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
        Timestamp::from_nanos(nanos())
    }
}

/// Nanoseconds since the origin of the kernel's clock.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
#[allow(clippy::cast_sign_loss, reason = "this clock counts up from boot")]
pub(super) fn nanos() -> u64 {
    use rustix::time::{ClockId, clock_gettime};

    let now = clock_gettime(ClockId::Monotonic);
    whole(now.tv_sec as u64, now.tv_nsec as u64)
}

/// Nanoseconds since the first reading in this process.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[inline]
pub(super) fn nanos() -> u64 {
    use std::sync::OnceLock;
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    use std::time::Instant;
    #[cfg(all(target_family = "wasm", target_os = "unknown"))]
    use web_time::Instant;

    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let elapsed = ORIGIN.get_or_init(Instant::now).elapsed();
    whole(elapsed.as_secs(), elapsed.subsec_nanos().into())
}

/// Seconds and nanoseconds as nanoseconds. 64 bits are enough for 584 years.
#[inline]
const fn whole(secs: u64, subsec: u64) -> u64 {
    secs.wrapping_mul(1_000_000_000).wrapping_add(subsec)
}
