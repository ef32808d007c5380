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
/// Each thread reads the kernel's clock ([`MonotonicClock`](crate::MonotonicClock)) once in about a millisecond. In
/// between it reads the counter of the CPU and adds what that has counted since. The speed of the counter is measured on
/// the way, so nothing is calibrated at the start, nothing runs in the background, and no thread waits for another. In its
/// first milliseconds, and when it reads the clock more seldom than that, a thread reads the kernel's clock.
///
/// # How wrong it can be
///
/// Let *K* be what the kernel's clock says at the moment of a reading *R*. Then, whatever the counter does,
///
/// > *R* ≤ *K* + 1 ms.
///
/// It is never further ahead, so a limiter never lets through what is more than a millisecond too early. And
///
/// > *R* ≥ *K* − (*r* × 1 ms + *d*),
///
/// where *r*, at least 1, is by what factor the counter has become slower since it was measured about a millisecond ago,
/// and *d* is for how long it has stood still or was set back since then. On a machine whose counter ticks evenly, as all
/// of the last fifteen years do, the error is below 12 µs, and as a rule below 1 µs. Two threads at the same
/// instant read times that lie within these bounds of each other.
///
/// Within a thread the clock never goes backwards. A counter that stands still, goes backwards or jumps is noticed at
/// the next reading, which is then the kernel's. So are cores whose counters differ and a virtual
/// machine that moves to another host, as far as their difference can be told from time that has passed; it is over
/// after a millisecond of the counter. A speed is used only if it was measured twice in a row.
///
/// While the machine is suspended, it does what the kernel's clock does; [`MonotonicClock`](crate::MonotonicClock) says
/// what that is.
///
/// # Where
///
/// On x86-64 and aarch64, on Linux, Android, macOS, iOS and Windows. On x86-64 the CPU, or the virtual machine, must say
/// that its counter is invariant. Everywhere else, and under Miri, this is the kernel's clock under another name.
///
/// A counter that ticks slowly, such as those of 24 MHz on some aarch64 machines, has often not moved since the last
/// reading if a thread does nothing but read it. Such a reading is the kernel's.
///
/// All clocks of this type, and all `MonotonicClock`s, have the same origin.
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
