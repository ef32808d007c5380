//! The default clock: the CPU's counter, kept right by the kernel's clock.

mod anchor;
mod source;
#[cfg(all(test, not(tollgate_loom)))]
mod tests;

use anchor::Anchor;

use super::{Clock, monotonic};
use crate::Timestamp;

thread_local! {
    /// Without a destructor, so that it can be read until the thread has ended.
    static ANCHOR: Anchor = const { Anchor::new() };
}

/// The default clock: as fast as the CPU's time stamp counter, and kept right by the kernel's clock.
///
/// Each thread reads the kernel's clock ([`MonotonicClock`](crate::MonotonicClock)) about once in a millisecond. In
/// between it reads the counter of the CPU, and adds what that has counted since. How fast the counter runs is measured
/// on the way: nothing is calibrated at the start, nothing runs in the background, and no thread waits for another. In
/// its first milliseconds, and when it reads the clock more seldom than once in a millisecond, a thread reads the kernel's
/// clock.
///
/// # How wrong it can be
///
/// Let *K* be what the kernel's clock says at the moment of a reading *R*. Whatever the counter does,
///
/// > *R* ≤ *K* + 1 ms.
///
/// So no permit comes more than a millisecond too early. In the other direction
///
/// > *R* ≥ *K* − (*r* × 1 ms + *d*).
///
/// Here *r*, at least 1, is how many times slower the counter has become since its speed was measured, and *d* is the
/// time for which it has stood still, or by which it was set back. Both count from the thread's last reading of
/// the kernel's clock before, which was less than a millisecond of the counter's own time ago. A limiter that
/// reads too early a time refuses for longer; it does not let more through.
///
/// On a machine whose counter runs evenly, the error is below 16 µs, and as a rule far below 1 µs. What two
/// threads read at the same instant differs by no more than these bounds allow.
///
/// Within a thread the clock never goes backwards. A counter that stands still, or is behind where it was at the last
/// reading, is noticed at the next, which is then the kernel's. (That it has stood still and then gone on can't be
/// noticed; that is *d*, and it is over with the next reading of the kernel's clock.) So is one that has jumped ahead by a millisecond or more: by a suspend of
/// the machine, or because the thread has moved to a core, or the virtual machine to another host, whose counter says
/// something else. A speed is used only when it was measured twice in a row.
///
/// While the machine is suspended, this clock does what the kernel's does:
/// [`MonotonicClock`](crate::MonotonicClock) says what that is.
///
/// # Where
///
/// On x86-64 and aarch64 under Linux, Android, macOS, iOS and Windows. On x86-64 the CPU, or the virtual machine, must
/// also say that the counter is invariant. Everywhere else, and under Miri, this is the kernel's clock by
/// another name.
///
/// Some counters tick slowly, such as those of 24 MHz on some aarch64 machines. A second reading within the same tick
/// is one of the kernel's clock.
///
/// Its time stamps may be compared with those of `MonotonicClock`: both count from the same origin.
///
/// ```
/// use tollgate::{Clock, CounterClock};
/// let clock = CounterClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CounterClock(());

impl CounterClock {
    /// The clock. Its origin is unspecified, but the same for all clocks of this type.
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

/// The slow way, for all reasons: one call beside the fast way. What a caller had to keep around several of
/// them would cost it more than the reading does.
///
/// Where no counter is steady, no anchor is made, and the counter is never read.
#[cold]
#[inline(never)]
fn ask() -> u64 {
    let ask = |anchor: &Anchor| anchor.ask(source::read, monotonic::nanos);
    let nanos = if source::is_steady() { ANCHOR.try_with(ask).ok() } else { None };
    nanos.unwrap_or_else(monotonic::nanos)
}
