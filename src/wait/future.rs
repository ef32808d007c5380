//! Async waits: a timer wakes the future when it is due.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Enqueued, Joining, Place, Progress, Request, Sleep, Timer};
use crate::{Grant, RateLimiter, Timestamp, WaitError};

/// A future that waits for permits, returned by [`acquire_on`](RateLimiter::acquire_on) and similar
/// methods. It joins the queue when it is first polled.
///
/// # Cancel safety
///
/// A future that is dropped takes no permits: it gives up its place in the queue, or gives back a
/// grant that it has not returned yet.
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    state: State<'a>,
    timer: &'a dyn Timer,
    sleep: Option<Alarm>,
    /// How many sleeps in a row have ended long before the time that was asked for, by the
    /// limiter's clock.
    early: u32,
}

/// A sleep, with its planned end and its start.
struct Alarm {
    until: Timestamp,
    since: Timestamp,
    sleep: Sleep,
}

/// How often one poll looks at the queue if sleeps end early. After that, the task yields.
const LOOKS_PER_POLL: u32 = 4;

/// If this many sleeps in a row end far too early, the clock does not run with the timer.
const SUSPICIOUS: u32 = 8;

enum State<'a> {
    New { asked: Asked<'a>, permits: u64, deadline: Timestamp },
    Waiting(Place<'a>),
    Done,
}

/// The limiter or queue that is asked for the permits.
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

// No field is pinned: the sleep is in a box.
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
        // tokio's budget is checked before permits are taken, because a grant must not be kept
        // until the next poll.
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
        for _ in 0..LOOKS_PER_POLL {
            let State::Waiting(place) = &mut self.state else {
                // The future is polled after its end.
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
                    // The sleep has ended. The next round finds out whether the clock agrees.
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
        // Sleeps that end early again and again must not keep the thread from other tasks.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Warns, once, that a timer and a clock do not run together.
#[cold]
fn warn_of_clock() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        crate::events::warn!(
            "timers end long before the same time has passed on the limiter's clock, so a wait \
             polls again and again; if tokio's time is paused, build the limiter with `TokioClock`"
        );
    });
}

/// A future that waits for permits and borrows nothing, returned by
/// [`acquire_owned_on`](RateLimiter::acquire_owned_on). It is an [`Acquire`] together with the
/// limiter and the timer, in one box.
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
