//! A future that waits: a timer wakes it when it is due.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::held::{Held, OwnedQueue};
use super::{Place, Progress, Sleep, Timer, WaitQueue};
use crate::{Grant, Timestamp, WaitError};

/// The future of [`acquire_with`](crate::RateLimiter::acquire_with): a place in the queue from its first
/// poll.
pub type Acquire<'a> = AcquireFuture<&'a dyn WaitQueue, &'a dyn Timer>;

/// The future of [`acquire_owned_with`](crate::RateLimiter::acquire_owned_with), which borrows nothing.
pub type AcquireOwned = AcquireFuture<Held<OwnedQueue>, Arc<dyn Timer>>;

/// Waits for permits. It takes its place in the queue when it is first polled.
///
/// # Cancel safety
///
/// Dropping it at any point takes nothing: a place is given up to those behind, a grant that was
/// not fetched yet is given back.
#[must_use = "futures do nothing unless polled"]
pub struct AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
{
    state: State<H>,
    timer: T,
    sleep: Option<(Timestamp, Sleep)>,
}

enum State<H>
where
    H: Deref,
    H::Target: WaitQueue,
{
    New { queue: H, permits: u64, deadline: Timestamp },
    Waiting(Place<H>),
    Done,
}

impl<H, T> AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
{
    pub(crate) fn new(queue: H, permits: u64, deadline: Timestamp, timer: T) -> Self {
        Self { state: State::New { queue, permits, deadline }, timer, sleep: None }
    }

    pub(crate) fn from_place(place: Place<H>, timer: T) -> Self {
        Self { state: State::Waiting(place), timer, sleep: None }
    }
}

// Nothing in it is pinned: the sleep is boxed.
impl<H, T> Unpin for AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
{
}

impl<H, T> std::fmt::Debug for AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::New { .. } => "new",
            State::Waiting(_) => "waiting",
            State::Done => "done",
        };
        f.debug_struct("AcquireFuture").field("state", &state).finish_non_exhaustive()
    }
}

impl<H, T> Future for AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
    T: Deref,
    T::Target: Timer,
{
    type Output = Result<Grant, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let State::New { .. } = this.state
            && let State::New { queue, permits, deadline } =
                std::mem::replace(&mut this.state, State::Done)
        {
            match Place::join(queue, permits, deadline, Some(cx.waker())) {
                Ok(Ok((_, grant))) => return Poll::Ready(Ok(grant)),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Err(place)) => this.state = State::Waiting(place),
            }
        }
        loop {
            let State::Waiting(place) = &mut this.state else {
                // Polled after its end: nothing more will come.
                return Poll::Pending;
            };
            let due = match place.step(cx.waker()) {
                Progress::Done(outcome) => {
                    (this.state, this.sleep) = (State::Done, None);
                    return Poll::Ready(outcome);
                }
                Progress::Until(due) => due,
            };
            let queue = place.queue();
            if queue.wake_at(due, cx.waker()) {
                return Poll::Pending;
            }
            if this.sleep.as_ref().is_none_or(|(until, _)| *until != due) {
                let Some(sleep) = this.timer.sleep(due - queue.now()) else {
                    this.state = State::Done;
                    return Poll::Ready(Err(WaitError::NoTimer));
                };
                this.sleep = Some((due, sleep));
            }
            if let Some((_, sleep)) = &mut this.sleep {
                match sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // The timer is done; whether the clock agrees, the next round tells.
                    Poll::Ready(()) => this.sleep = None,
                }
            }
        }
    }
}
