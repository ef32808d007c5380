//! Waiting for a limiter that has no queue, such as a fake in a test: it is asked again and again.

use std::task::Waker;
use std::time::Duration;

use super::{Joined, Progress, Ticket, WaitQueue};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::{Grant, RateLimiter, Rejection, Timestamp, WaitError};

/// A limiter that refuses without a time to wait is asked again after this long.
const SHORTEST: Duration = Duration::from_millis(1);

/// The queue of one who waits alone.
pub(super) struct AskAgain<'a> {
    limiter: &'a dyn RateLimiter,
    permits: u64,
    deadline: Timestamp,
    /// When the limiter is asked next, in nanoseconds.
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

    /// Only the limiter's answer tells.
    fn is_granted(&self, _: Ticket) -> bool {
        false
    }

    /// Nothing was taken.
    fn leave(&self, _: Ticket) {}

    fn refund(&self, grant: Grant) {
        self.limiter.credit(grant.permits);
    }

    fn keep(&self, _: Grant) {}
}
