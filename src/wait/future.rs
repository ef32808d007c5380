//! A future that waits: a timer wakes it when it is due.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Enqueued, Joining, Place, Progress, Request, Sleep, Timer};
use crate::{Grant, RateLimiter, Timestamp, WaitError};

/// The future of [`acquire_on`](RateLimiter::acquire_on) and of all that is like it: waits for permits. It takes its
/// place in the queue when it is first polled.
///
/// # Cancel safety
///
/// Dropping it at any point takes nothing: a place is given up to those behind, a grant that was
/// not fetched yet is given back.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    state: State<'a>,
    timer: &'a dyn Timer,
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

enum State<'a> {
    New { asked: Asked<'a>, permits: u64, deadline: Timestamp },
    Waiting(Place<'a>),
    Done,
}

/// Who is asked for the permits.
enum Asked<'a> {
    Limiter(&'a dyn RateLimiter),
    #[cfg(feature = "llm")]
    Queue(super::QueueHandle<'a>),
}

impl<'a> Asked<'a> {
    fn enqueue(self, request: Request<'_>) -> Result<Enqueued<'a>, WaitError> {
        match self {
            Self::Limiter(limiter) => limiter.enqueue(request),
            #[cfg(feature = "llm")]
            Self::Queue(queue) => request.join(queue),
        }
    }
}

impl<'a> Acquire<'a> {
    /// Waits for permits of `limiter`.
    pub(crate) fn of(
        limiter: &'a dyn RateLimiter,
        permits: u64,
        deadline: Timestamp,
        timer: &'a dyn Timer,
    ) -> Self {
        Self::new(State::New { asked: Asked::Limiter(limiter), permits, deadline }, timer)
    }

    /// Waits in `queue`.
    #[cfg(feature = "llm")]
    pub(crate) fn in_queue(
        queue: super::QueueHandle<'a>,
        permits: u64,
        deadline: Timestamp,
        timer: &'a dyn Timer,
    ) -> Self {
        Self::new(State::New { asked: Asked::Queue(queue), permits, deadline }, timer)
    }

    pub(crate) fn from_place(place: Place<'a>, timer: &'a dyn Timer) -> Self {
        Self::new(State::Waiting(place), timer)
    }

    fn new(state: State<'a>, timer: &'a dyn Timer) -> Self {
        Self { state, timer, sleep: None, early: 0 }
    }
}

// Nothing in it is pinned: the sleep is boxed.
impl Unpin for Acquire<'_> {}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::New { .. } => "new",
            State::Waiting(_) => "waiting",
            State::Done => "done",
        };
        f.debug_struct("Acquire").field("state", &state).finish_non_exhaustive()
    }
}

impl Future for Acquire<'_> {
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

impl Acquire<'_> {
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Grant, WaitError>> {
        if let State::New { .. } = self.state {
            if let State::New { asked, permits, deadline } =
                std::mem::replace(&mut self.state, State::Done)
            {
                let request = Request::new(permits, deadline, Some(cx.waker()));
                match asked.enqueue(request)?.into_joining() {
                    Joining::Granted(_, grant) => return Poll::Ready(Ok(grant)),
                    Joining::Waiting(place) => self.state = State::Waiting(place),
                }
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
        crate::events::warn!(
            "timers end long before the limiter's clock is there, so a wait looks again and again: is \
             tokio's time paused? Then build the limiter with `TokioClock`"
        );
    });
}

/// The future of [`acquire_owned_on`](RateLimiter::acquire_owned_on), which borrows nothing: an [`Acquire`] and what it
/// borrows from, in one box.
///
/// # Cancel safety
///
/// As [`Acquire`].
#[must_use = "futures do nothing unless polled"]
pub struct AcquireOwned(Pin<Box<dyn Future<Output = Result<Grant, WaitError>> + Send>>);

impl AcquireOwned {
    pub(crate) fn new(
        limiter: Arc<impl RateLimiter + 'static>,
        permits: u64,
        timer: Arc<dyn Timer>,
    ) -> Self {
        Self(Box::pin(async move { limiter.acquire_on(permits, &*timer).await }))
    }
}

impl Future for AcquireOwned {
    type Output = Result<Grant, WaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").finish_non_exhaustive()
    }
}
