//! Waiting for a limiter without a queue, such as a fake in a test: the waiter asks it again and
//! again.

use std::task::Waker;
use std::time::Duration;

use super::{Joined, Progress, Ticket, WaitQueue};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{Grant, RateLimiter, Rejection, Timestamp, WaitError};

/// The shortest time between two requests of the same waiter.
const SHORTEST: Duration = Duration::from_millis(1);

/// A queue that holds one waiter.
pub(super) struct AskAgain<'a> {
    limiter: &'a dyn RateLimiter,
    permits: u64,
    deadline: Timestamp,
    /// When the waiter may ask again, in nanoseconds on the limiter's clock.
    next: AtomicU64,
}

impl<'a> AskAgain<'a> {
    pub(super) fn new(limiter: &'a dyn RateLimiter, permits: u64, deadline: Timestamp) -> Self {
        Self { limiter, permits, deadline, next: AtomicU64::new(0) }
    }

    fn ask(&self) -> Progress {
        let now = self.limiter.now();
        let next = Timestamp::from_nanos(self.next.load(Ordering::Relaxed));
        if now < next {
            return Progress::Until(next);
        }
        match self.limiter.try_acquire(self.permits) {
            Ok(grant) => Progress::Done(Ok(grant)),
            Err(Rejection::Denied { retry_after, .. }) => {
                let next = now + retry_after.max(SHORTEST);
                if next > self.deadline {
                    return Progress::Done(Err(WaitError::Timeout { retry_after }));
                }
                self.next.store(next.as_nanos(), Ordering::Relaxed);
                Progress::Until(next)
            }
            Err(rejection) => Progress::Done(Err(rejection.into())),
        }
    }
}

impl WaitQueue for AskAgain<'_> {
    fn now(&self) -> Timestamp {
        self.limiter.now()
    }

    fn wake_at(&self, _: Timestamp, _: &Waker) -> bool {
        false
    }

    fn jitter(&self) -> Duration {
        Duration::ZERO
    }

    fn join(&self, _: u64, _: Timestamp, _: Option<&Waker>) -> Result<Joined, WaitError> {
        Ok(match self.ask() {
            Progress::Done(answer) => Joined::Granted(answer?),
            Progress::Until(next) => Joined::Queued(Ticket::FIRST, next),
        })
    }

    fn poll(&self, _: Ticket, _: Option<&Waker>, _: bool) -> Progress {
        self.ask()
    }

    fn due(&self, _: Ticket) -> Timestamp {
        Timestamp::from_nanos(self.next.load(Ordering::Relaxed)).max(self.limiter.now())
    }

    /// Only an answer of the limiter can tell.
    fn is_granted(&self, _: Ticket) -> bool {
        false
    }

    /// There is nothing to give back, because nothing was taken.
    fn leave(&self, _: Ticket) {}

    fn refund(&self, grant: Grant) {
        self.limiter.credit(grant.permits);
    }

    fn keep(&self, _: Grant) {}
}
