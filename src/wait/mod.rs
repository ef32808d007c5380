//! Waiting for permits, blocking and async, for every limiter.
//!
//! A waiter takes a place in the first-in, first-out queue of the limiter, learns when it is due,
//! sleeps until then, and fetches its permits. Only the sleep differs: a thread parks, and a future
//! is woken by a [`Timer`]. A clock that does not run with real time wakes both kinds itself.

mod ask_again;
pub(crate) mod blocking;
mod cancel;
mod future;
mod handle;
mod jitter;
pub(crate) mod queue;
mod request;
mod reservation;
mod timer;

use std::task::Waker;
use std::time::Duration;

pub use cancel::{CancelToken, Cancelled};
pub use future::{Acquire, AcquireOwned};
pub(crate) use handle::QueueHandle;
pub use jitter::Jitter;
pub(crate) use queue::Ticket;
pub(crate) use request::Joining;
pub use request::{Enqueued, Request};
pub use reservation::Reservation;
#[cfg(feature = "tokio")]
pub use timer::TokioTimer;
pub use timer::{Sleep, Timer};

use crate::{Grant, Timestamp, WaitError};

/// The answer of a queue to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Joined {
    /// The permits were available.
    Granted(Grant),
    /// A place in the queue, and when the waiter should look.
    Queued(Ticket, Timestamp),
}

/// The progress of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress {
    /// The wait has ended.
    Done(Result<Grant, WaitError>),
    /// The waiter should look again at this time.
    Until(Timestamp),
}

/// The queue of a limiter, as its waiters see it.
///
/// Every limiter of this crate has a queue. For a limiter without one, [`Request`] makes a queue
/// for each wait.
pub(crate) trait WaitQueue: Send + Sync {
    /// The time on the limiter's clock.
    fn now(&self) -> Timestamp;

    /// See [`Clock::wake_at`](crate::Clock::wake_at).
    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool;

    /// A random extra delay for a waiter; zero unless the limiter was built with a [`Jitter`].
    fn jitter(&self) -> Duration;

    /// Takes `permits` or a place in the queue. `waker` is used as in [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// When the permits will not be available by `deadline`, the queue is full, or the limiter is
    /// closed.
    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError>;

    /// The progress of a wait. `waker` is called when it can be served earlier. A grant is final,
    /// unless it is `held`: then it must be [kept](Self::keep) or [given back](Self::refund).
    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress;

    /// When `ticket` will be served: a time that is not in the future if it was served, and
    /// [`Timestamp::MAX`] if it never will be.
    fn due(&self, ticket: Ticket) -> Timestamp;

    /// Whether `ticket` was served, and [`poll`](Self::poll) has not returned its grant yet.
    fn is_granted(&self, ticket: Ticket) -> bool;

    /// Gives up a place, or gives back its grant if `poll` has not returned it yet.
    fn leave(&self, ticket: Ticket);

    /// Gives back a held grant, except for permits that were refilled since.
    fn refund(&self, grant: Grant);

    /// Makes a held grant final.
    fn keep(&self, grant: Grant);
}

/// A place in the queue, which is given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    queue: QueueHandle<'a>,
    ticket: Ticket,
    deadline: Timestamp,
    jitter: Duration,
    /// Until when the jitter delays a grant.
    hold_until: Option<Timestamp>,
    /// A grant that was fetched and is delayed by the jitter.
    held_back: Option<Grant>,
    /// The answer of the first step, if the queue has the waker already.
    first_due: Option<Timestamp>,
    done: bool,
}

impl<'a> Place<'a> {
    /// The place of `ticket` in `queue`, whose waiter should look at `due`. For a reservation,
    /// whose holder sleeps by itself, `is_promise` is `true`.
    pub(crate) fn new(
        queue: QueueHandle<'a>,
        ticket: Ticket,
        due: Timestamp,
        deadline: Timestamp,
        is_promise: bool,
    ) -> Self {
        Self {
            jitter: queue.jitter(),
            queue,
            ticket,
            deadline,
            hold_until: None,
            held_back: None,
            first_due: (!is_promise).then_some(due),
            done: false,
        }
    }

    /// Looks at the queue, and returns the progress of the wait.
    pub(crate) fn step(&mut self, waker: &Waker) -> Progress {
        if let Some(due) = self.first_due.take() {
            return Progress::Until(due);
        }
        if let Some(grant) = self.held_back {
            if let Some(until) = self.hold_back() {
                return Progress::Until(until);
            }
            (self.held_back, self.done) = (None, true);
            self.queue.keep(grant);
            return Progress::Done(Ok(grant));
        }
        // With jitter, the end of a wait that has its grant is delayed, so that many waiters do not
        // act at one instant.
        let held = !self.jitter.is_zero();
        let progress = self.queue.poll(self.ticket, Some(waker), held);
        if let (true, Progress::Done(Ok(grant))) = (held, progress) {
            if let Some(until) = self.hold_back() {
                self.held_back = Some(grant);
                return Progress::Until(until);
            }
            self.queue.keep(grant);
        }
        self.done = matches!(progress, Progress::Done(_));
        progress
    }

    /// Until when a grant is delayed by the jitter, if it still is.
    fn hold_back(&mut self) -> Option<Timestamp> {
        let now = self.queue.now();
        let until = *self.hold_until.get_or_insert((now + self.jitter).min(self.deadline));
        (now < until).then_some(until)
    }

    pub(crate) fn queue(&self) -> &(dyn WaitQueue + 'a) {
        &*self.queue
    }

    /// How long until the place is due; `None` if it never will be.
    pub(crate) fn delay(&self) -> Option<Duration> {
        let due = self.queue.due(self.ticket);
        (due < Timestamp::MAX).then(|| due - self.queue.now())
    }

    /// Keeps the grant if there is one, and otherwise gives up the place.
    pub(crate) fn settle(mut self) {
        if self.queue.is_granted(self.ticket) {
            self.done = matches!(self.queue.poll(self.ticket, None, false), Progress::Done(_));
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(grant) = self.held_back {
            self.queue.refund(grant);
        } else if !self.done {
            self.queue.leave(self.ticket);
        }
    }
}
