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
    sleep: Option<Alarm>,
    /// How often on end the timer has ended long before the limiter's clock was there.
    early: u32,
}

/// A sleep, until when it is to last, and when it began.
struct Alarm {
    until: Timestamp,
    since: Timestamp,
    sleep: Sleep,
}

/// How often one poll looks again after a timer that ended early; then the task yields.
const LOOKS: u32 = 4;

/// So many timers on end that were far too early tell of a clock that does not run with the timer.
const SUSPICIOUS: u32 = 8;

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
        Self { state: State::New { queue, permits, deadline }, timer, sleep: None, early: 0 }
    }

    pub(crate) fn from_place(place: Place<H>, timer: T) -> Self {
        Self { state: State::Waiting(place), timer, sleep: None, early: 0 }
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
        // Before anything is taken: what was granted must not wait for another turn.
        #[cfg(feature = "tokio")]
        let budget = std::task::ready!(tokio::task::coop::poll_proceed(cx));
        let outcome = self.advance(cx);
        #[cfg(feature = "tokio")]
        if outcome.is_ready() {
            budget.made_progress();
        }
        outcome
    }
}

impl<H, T> AcquireFuture<H, T>
where
    H: Deref,
    H::Target: WaitQueue,
    T: Deref,
    T::Target: Timer,
{
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Grant, WaitError>> {
        if let State::New { .. } = self.state
            && let State::New { queue, permits, deadline } =
                std::mem::replace(&mut self.state, State::Done)
        {
            match Place::join(queue, permits, deadline, Some(cx.waker())) {
                Ok(Ok((_, grant))) => return Poll::Ready(Ok(grant)),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(Err(place)) => self.state = State::Waiting(place),
            }
        }
        for _ in 0..LOOKS {
            let State::Waiting(place) = &mut self.state else {
                // Polled after its end: nothing more will come.
                return Poll::Pending;
            };
            let due = match place.step(cx.waker()) {
                Progress::Done(outcome) => {
                    (self.state, self.sleep) = (State::Done, None);
                    return Poll::Ready(outcome);
                }
                Progress::Until(due) => due,
            };
            let queue = place.queue();
            if queue.wake_at(due, cx.waker()) {
                return Poll::Pending;
            }
            if self.sleep.as_ref().is_none_or(|alarm| alarm.until != due) {
                let since = queue.now();
                let Some(sleep) = self.timer.sleep(due - since) else {
                    self.state = State::Done;
                    return Poll::Ready(Err(WaitError::NoTimer));
                };
                self.sleep = Some(Alarm { until: due, since, sleep });
            }
            if let Some(alarm) = &mut self.sleep {
                match alarm.sleep.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // The timer is done; whether the clock agrees, the next round tells.
                    Poll::Ready(()) => {
                        let (slept, asked) = (queue.now() - alarm.since, due - alarm.since);
                        self.early = if slept < asked / 2 { self.early + 1 } else { 0 };
                        self.sleep = None;
                    }
                }
            }
            if self.early == SUSPICIOUS {
                warn_of_clock();
            }
        }
        // A timer that ends early again and again must not keep the thread from other tasks.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Says once that a timer and a clock do not run together.
#[cold]
fn warn_of_clock() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        tracing::warn!(
            "timers end long before the limiter's clock is there, so a wait looks again and again: is \
             tokio's time paused? Then build the limiter with `TokioClock`"
        );
    });
}
