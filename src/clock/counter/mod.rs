//! The default clock: the CPU's counter, corrected by the kernel's clock.

mod anchor;
mod source;
#[cfg(all(test, not(tollgate_loom)))]
mod tests;

use anchor::Anchor;

use super::{Clock, monotonic};
use crate::Timestamp;

thread_local! {
    /// It has no destructor, so it can be read until the thread has ended.
    static ANCHOR: Anchor = const { Anchor::new() };
}

/// The default clock: as fast as the CPU's time stamp counter, and corrected by the kernel's clock.
///
/// Each thread reads the kernel's clock ([`MonotonicClock`](crate::MonotonicClock)) about once per
/// millisecond. In between, it reads the counter of the CPU and adds what the counter has counted
/// since. The speed of the counter is measured along the way: there is no calibration at the start,
/// no background thread, and no thread waits for another. In its first milliseconds, and when it
/// reads the clock less often than once per millisecond, a thread reads the kernel's clock.
///
/// # How wrong it can be
///
/// Let *K* be the reading of the kernel's clock at the moment of a reading *R* of this clock.
/// Whatever the counter does,
///
/// > *R* ≤ *K* + 1 ms.
///
/// So no permit is available more than a millisecond too early. In the other direction,
///
/// > *R* ≥ *K* − (*r* × 1 ms + *d*).
///
/// Here *r*, at least 1, is how many times slower the counter has become since its speed was
/// measured, and *d* is the time for which the counter stood still or by which it was set back.
/// Both are counted from the thread's last reading of the kernel's clock, which was less than a
/// millisecond ago by the counter. A limiter whose clock
/// is behind refuses for longer; it never lets more through.
///
/// On a machine whose counter runs evenly, the error is below 16 µs, and usually far below 1 µs.
/// The readings of two threads at the same moment differ by no more than these bounds allow.
///
/// Within a thread, the clock never goes backwards. A thread detects the following at its next
/// reading, and reads the kernel's clock instead:
///
/// * The counter stands still, or is behind its value at the last reading. (If it stood still and
///   then went on, this can't be detected. That time is *d*, and the next reading of the kernel's
///   clock corrects it.)
/// * The counter has jumped ahead by a millisecond or more: because the machine was suspended, or
///   because the thread has moved to a core, or the virtual machine to a host, with another
///   counter.
///
/// A speed is used only after two measurements in a row agree on it.
///
/// # Suspend
///
/// **On Linux and Android, the time for which the machine is suspended does not count**, just as
/// with [`MonotonicClock`](crate::MonotonicClock). On other systems, this clock also does what that
/// one does.
///
/// # Platforms
///
/// The counter is used on x86-64 and aarch64 under Linux, Android, macOS, iOS and Windows. On
/// x86-64, the CPU or the virtual machine must also report that the counter is invariant.
/// Everywhere else, and under Miri, this clock reads the kernel's clock.
///
/// Some counters tick slowly: at 24 MHz on some aarch64 machines, for example. The second reading
/// within the same tick reads the kernel's clock.
///
/// Time stamps of this clock may be compared with those of `MonotonicClock`, because both have the
/// same origin.
///
/// ```
/// use tollgate::{Clock, CounterClock};
/// let clock = CounterClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CounterClock(());

impl CounterClock {
    /// Makes a clock. The origin is unspecified, but the same for all clocks of this type.
    ///
    /// ```
    /// # use tollgate::CounterClock;
    /// let clock = CounterClock::new();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for CounterClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for CounterClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let interpolate = |anchor: &Anchor| anchor.interpolate(source::read);
        match ANCHOR.try_with(interpolate) {
            Ok(Some(nanos)) => Timestamp::from_nanos(nanos),
            _ => Timestamp::from_nanos(ask()),
        }
    }
}

/// The slow path: reads the kernel's clock, for whatever reason. There is only this one call
/// besides the fast path, because the registers that a caller saves around several calls would cost
/// more than a reading of the counter.
///
/// On a machine without a steady counter, no anchor is made and the counter is never read.
#[cold]
#[inline(never)]
fn ask() -> u64 {
    let ask = |anchor: &Anchor| anchor.ask(source::read, monotonic::nanos);
    let nanos = if source::is_steady() { ANCHOR.try_with(ask).ok() } else { None };
    nanos.unwrap_or_else(monotonic::nanos)
}
