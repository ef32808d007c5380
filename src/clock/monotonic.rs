//! The kernel's clock.

use super::Clock;
use crate::Timestamp;

/// The kernel's monotonic clock, the one behind [`std::time::Instant`]: never steps back, the same
/// on every core.
///
/// The default clock, [`CounterClock`](crate::CounterClock), follows this one at less than half its price. Choose this one
/// where a limiter must not be ahead of the kernel's time by a microsecond, on whatever hardware.
///
/// On Linux and Android it does not count the time while the machine is suspended: a laptop that was
/// closed for an hour, or a virtual machine that was paused, resumes with the level it had before, and
/// those who wait go on waiting for the rest of their time. A limiter therefore never lets more
/// through after a suspend than it would have without one; it may let through less than a server that
/// kept counting would allow.
///
/// ```
/// use tollgate::{Clock, MonotonicClock};
/// let clock = MonotonicClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(());

impl MonotonicClock {
    /// The clock. Its origin is unspecified, but the same for all clocks of this type.
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

/// Since the kernel's own origin.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
#[allow(clippy::cast_sign_loss, reason = "this clock counts up from boot")]
pub(super) fn nanos() -> u64 {
    use rustix::time::{ClockId, clock_gettime};

    let now = clock_gettime(ClockId::Monotonic);
    whole(now.tv_sec as u64, now.tv_nsec as u64)
}

/// Since the first reading of the process.
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

/// Seconds and nanoseconds as nanoseconds; 64 bits of them last 584 years.
#[inline]
const fn whole(secs: u64, subsec: u64) -> u64 {
    secs.wrapping_mul(1_000_000_000).wrapping_add(subsec)
}
