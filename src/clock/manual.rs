//! A clock that a test moves by hand.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::Clock;
use crate::Timestamp;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::wakers::Wakers;

/// A clock that moves only when [`advance`](Self::advance) or [`set`](Self::set) is called. Clones
/// share one time.
///
/// Use it to test your own code without sleeping. Blocking and async waits end when
/// [`advance`](Self::advance) reaches the time at which they are due.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
///
/// let clock = ManualClock::new();
/// let limiter = TokenBucket::builder(Quota::per_second(1)).clock(clock.clone()).build()?;
/// assert!(limiter.allow());
/// assert!(!limiter.allow());
/// clock.advance(Duration::from_secs(1));
/// assert!(limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    now: AtomicU64,
    sleepers: Mutex<Vec<(Timestamp, Waker)>>,
}

impl ManualClock {
    /// A clock that starts at [`Timestamp::ZERO`].
    ///
    /// ```
    /// # use tollgate::{Clock, ManualClock, Timestamp};
    /// assert_eq!(ManualClock::new().now(), Timestamp::ZERO);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward by `duration`, and wakes the waiters whose deadline it has reached.
    ///
    /// ```
    /// # use std::time::Duration; use tollgate::{Clock, ManualClock, Timestamp};
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_nanos(5));
    /// assert_eq!(clock.now(), Timestamp::from_nanos(5));
    /// ```
    pub fn advance(&self, duration: Duration) {
        self.move_to(|now| now + duration);
    }

    /// Sets the clock to `now`, which may be in its past (to test a clock that steps back).
    ///
    /// ```
    /// # use tollgate::{Clock, ManualClock, Timestamp};
    /// let clock = ManualClock::new();
    /// clock.set(Timestamp::from_nanos(9));
    /// assert_eq!(clock.now().as_nanos(), 9);
    /// ```
    pub fn set(&self, now: Timestamp) {
        self.move_to(|_| now);
    }

    fn move_to(&self, time: impl FnOnce(Timestamp) -> Timestamp) {
        let due: Wakers = {
            // Under the lock, so that two concurrent calls of `advance` add up.
            let mut sleepers = self.shared.sleepers.lock();
            let now = time(self.now());
            self.shared.now.store(now.as_nanos(), Ordering::SeqCst);
            let all = std::mem::take(&mut *sleepers).into_iter();
            let (due, later): (Vec<_>, Vec<_>) = all.partition(|(deadline, _)| *deadline <= now);
            *sleepers = later;
            due.into_iter().map(|(_, waker)| waker).collect()
        };
        // Dropping the wakers wakes all of them, even if one of them panics.
        drop(due);
    }

    /// The number of wake-ups that are still scheduled. It includes those of cancelled waits. To
    /// check that somebody is waiting, use [`Usage::waiting`](crate::Usage::waiting).
    ///
    /// ```
    /// # use tollgate::ManualClock;
    /// assert_eq!(ManualClock::new().sleepers(), 0);
    /// ```
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.shared.sleepers.lock().len()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.shared.now.load(Ordering::SeqCst))
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        // The clone is made before the lock is taken and, if not kept, dropped after it is
        // released, because both run foreign code.
        let mut kept = Some(waker.clone());
        // The time is read under the lock, so a concurrent `set` either finds the new sleeper or
        // has already changed the time that is read here.
        let mut sleepers = self.shared.sleepers.lock();
        if self.now() >= deadline {
            drop(sleepers);
            waker.wake_by_ref();
        } else {
            // One waker may be registered for several deadlines, because a task can wait in several
            // places at once.
            let known =
                |(at, other): &(Timestamp, Waker)| *at == deadline && other.will_wake(waker);
            if !sleepers.iter().any(known) {
                sleepers.extend(kept.take().map(|waker| (deadline, waker)));
            }
        }
        true
    }
}
