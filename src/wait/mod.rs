//! Waiting, written once for every limiter, blocking and async.
//!
//! A waiter takes a place in the limiter's first-in-first-out queue, learns when it is due, sleeps
//! until then, and fetches its permits. Who sleeps how is all that differs: a thread parks, a future
//! asks a [`Timer`] to wake it, and a clock that does not run with real time wakes either.

mod ask_again;
pub(crate) mod blocking;
mod cancel;
mod future;
mod handle;
mod jitter;
pub(crate) mod queue;
mod request;
mod reservation;
#[cfg(feature = "stream")]
mod stream;
mod timer;

use std::task::Waker;
use std::time::Duration;

pub use cancel::CancelToken;
pub use future::{Acquire, AcquireOwned};
pub(crate) use handle::QueueHandle;
pub use jitter::Jitter;
pub(crate) use queue::Ticket;
pub(crate) use request::Joining;
pub use request::{Enqueued, Request};
pub use reservation::Reservation;
#[cfg(feature = "stream")]
pub use stream::{
    RateLimitSinkExt, RateLimitStreamExt, RateLimitedSink, RateLimitedStream, SinkError,
};
#[cfg(feature = "tokio")]
pub use timer::TokioTimer;
pub use timer::{Sleep, Timer};

use crate::{Grant, Timestamp, WaitError};

/// What became of a request to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Joined {
    /// The permits were there.
    Granted(Grant),
    /// A place in the queue, and when it is due.
    Queued(Ticket, Timestamp),
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress {
    /// It has ended.
    Done(Result<Grant, WaitError>),
    /// Ask again at this time.
    Until(Timestamp),
}

/// The queue of a limiter, as those who wait see it.
///
/// Every limiter of this crate has one; for a limiter of your own, [`Request`] makes one up.
pub(crate) trait WaitQueue: Send + Sync {
    /// The time on the limiter's clock.
    fn now(&self) -> Timestamp;

    /// See [`Clock::wake_at`](crate::Clock::wake_at).
    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool;

    /// A random extra delay for a waiter; zero unless the limiter was built with a [`Jitter`].
    fn jitter(&self) -> Duration;

    /// Takes `permits` or a place in the queue; `waker` is as for [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// When the permits can't be had by `deadline`, the queue is full, or the limiter closed.
    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError>;

    /// Where a wait stands; `waker` is called when that changes for the better. A grant is final, unless it is `held`:
    /// then it is to be [kept](Self::keep) or [given back](Self::refund).
    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress;

    /// When `ticket` will be served; now, if it was, and [`Timestamp::MAX`] if it never will be.
    fn due(&self, ticket: Ticket) -> Timestamp;

    /// Whether `ticket` was served and has not been told by [`poll`](Self::poll) yet.
    fn is_granted(&self, ticket: Ticket) -> bool;

    /// Gives up a place, or gives back what was granted on it and not fetched.
    fn leave(&self, ticket: Ticket);

    /// Gives back a grant that is held, as far as its permits have not come back by themselves.
    fn refund(&self, grant: Grant);

    /// A grant that was held is final.
    fn keep(&self, grant: Grant);
}

/// A place in the queue, given up when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    queue: QueueHandle<'a>,
    ticket: Ticket,
    deadline: Timestamp,
    jitter: Duration,
    hold_until: Option<Timestamp>,
    /// A grant that came too suddenly to be held back in the queue.
    held_back: Option<Grant>,
    /// What the first step answers, if the queue knows whom to wake.
    first_due: Option<Timestamp>,
    done: bool,
}

impl<'a> Place<'a> {
    /// A place that was taken in `queue` with `ticket`, and is due then; it `is_promise` if its holder sleeps by itself.
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

    /// Where the wait stands.
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
        // Granted, but held back a little: others must not all act at the same instant.
        if !self.jitter.is_zero() && self.queue.is_granted(self.ticket) {
            if let Some(until) = self.hold_back() {
                return Progress::Until(until);
            }
        }
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

    /// Until when a grant is held back from now on, if it still is.
    fn hold_back(&mut self) -> Option<Timestamp> {
        let now = self.queue.now();
        let until = *self.hold_until.get_or_insert((now + self.jitter).min(self.deadline));
        (now < until).then_some(until)
    }

    pub(crate) fn queue(&self) -> &(dyn WaitQueue + 'a) {
        &*self.queue
    }

    /// How long until it is due; `None` if it never will be.
    pub(crate) fn delay(&self) -> Option<Duration> {
        let due = self.queue.due(self.ticket);
        (due < Timestamp::MAX).then(|| due - self.queue.now())
    }

    /// Keeps what was granted, if anything was; else gives the place up.
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
