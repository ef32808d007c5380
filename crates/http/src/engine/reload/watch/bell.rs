//! What wakes the watching thread.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Rung by others, awaited by the watching thread. Many changes are one, so nothing piles up.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<Flags>,
    condvar: Condvar,
}

#[derive(Default)]
struct Flags {
    changed: bool,
    hangup: bool,
    stop: bool,
}

/// Why the bell has rung; the most urgent reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// The limiter is gone.
    Stop,
    /// SIGHUP came.
    Hangup,
    /// Something in the folder has changed.
    Changed,
    /// The time is over.
    Nothing,
}

impl Bell {
    /// Something in the folder has changed.
    pub(super) fn changed(&self) {
        self.ring(|flags| flags.changed = true);
    }

    /// SIGHUP came.
    #[cfg(any(unix, test))]
    pub(super) fn hangup(&self) {
        self.ring(|flags| flags.hangup = true);
    }

    /// The limiter is gone. This is never forgotten.
    pub(super) fn stop(&self) {
        self.ring(|flags| flags.stop = true);
    }

    fn ring(&self, how: impl FnOnce(&mut Flags)) {
        how(&mut self.rung.lock());
        self.condvar.notify_all();
    }

    /// Waits until the bell rings or the time is over; `None` is far in the future. Changes and
    /// SIGHUP are then forgotten.
    pub(super) fn wait(&self, until: Option<Instant>) -> Rung {
        self.wait_for(until, |flags| flags.changed || flags.hangup || flags.stop)
    }

    /// Lets changes come for a while, and tells whether any came; they are then forgotten. SIGHUP
    /// and the end of the limiter end it at once.
    pub(super) fn gather(&self, time: Duration) -> Rung {
        self.wait_for(Instant::now().checked_add(time), |flags| flags.hangup || flags.stop)
    }

    fn wait_for(&self, until: Option<Instant>, is_over: impl Fn(&Flags) -> bool) -> Rung {
        let mut flags = self.rung.lock();
        while !is_over(&flags) {
            let Some(until) = until else {
                self.condvar.wait(&mut flags);
                continue;
            };
            if self.condvar.wait_until(&mut flags, until).timed_out() {
                break;
            }
        }
        let rung = match *flags {
            Flags { stop: true, .. } => Rung::Stop,
            Flags { hangup: true, .. } => Rung::Hangup,
            Flags { changed: true, .. } => Rung::Changed,
            _ => Rung::Nothing,
        };
        (flags.changed, flags.hangup) = (false, false);
        rung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a test may take.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn many_changes_are_one() {
        let bell = Bell::default();
        bell.changed();
        bell.changed();
        assert_eq!(bell.wait(None), Rung::Changed);
        assert_eq!(bell.wait(Some(Instant::now())), Rung::Nothing);
    }

    #[test]
    fn changes_are_gathered() {
        let bell = Bell::default();
        assert_eq!(bell.gather(Duration::ZERO), Rung::Nothing);
        bell.changed();
        assert_eq!(bell.gather(Duration::ZERO), Rung::Changed);
        assert_eq!(bell.gather(Duration::ZERO), Rung::Nothing);
    }

    #[test]
    fn a_hangup_and_the_end_do_not_wait() {
        let bell = Bell::default();
        bell.changed();
        bell.hangup();
        assert_eq!(bell.gather(LONG), Rung::Hangup);
        bell.changed();
        bell.stop();
        assert_eq!(bell.gather(LONG), Rung::Stop);
        assert_eq!(bell.wait(None), Rung::Stop);
        assert_eq!(bell.wait(None), Rung::Stop, "the end is never forgotten");
    }

    #[test]
    fn another_thread_is_woken() {
        let bell = Bell::default();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| bell.wait(None));
            bell.changed();
            assert_eq!(waiting.join().expect("it only waits"), Rung::Changed);
        });
    }
}
