//! The default clock: the kernel's.

use super::Clock;
use crate::Timestamp;

/// The kernel's monotonic clock, the one behind [`std::time::Instant`]: never steps back, the same
/// on every core.
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
pub struct MonotonicClock(source::Source);

impl MonotonicClock {
    /// The clock. Its origin is unspecified, but the same for all copies.
    ///
    /// ```
    /// # use tollgate::MonotonicClock;
    /// let clock = MonotonicClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(source::Source::new())
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
        Timestamp::from_nanos(self.0.nanos())
    }
}

/// Seconds and nanoseconds as nanoseconds; 64 bits of them last 584 years.
#[inline]
const fn nanos(secs: u64, subsec: u64) -> u64 {
    secs.wrapping_mul(1_000_000_000).wrapping_add(subsec)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod source {
    use rustix::time::{ClockId, clock_gettime};

    /// Its origin is the kernel's.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Source;

    impl Source {
        pub(super) fn new() -> Self {
            Self
        }

        #[inline]
        #[allow(clippy::cast_sign_loss, reason = "this clock counts up from boot")]
        #[allow(clippy::unused_self, reason = "its twin for other systems has an origin")]
        pub(super) fn nanos(self) -> u64 {
            let now = clock_gettime(ClockId::Monotonic);
            super::nanos(now.tv_sec as u64, now.tv_nsec as u64)
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod source {
    use std::time::Instant;

    #[derive(Clone, Copy, Debug)]
    pub(super) struct Source(Instant);

    impl Source {
        pub(super) fn new() -> Self {
            Self(Instant::now())
        }

        #[inline]
        pub(super) fn nanos(self) -> u64 {
            let elapsed = self.0.elapsed();
            super::nanos(elapsed.as_secs(), elapsed.subsec_nanos().into())
        }
    }
}
