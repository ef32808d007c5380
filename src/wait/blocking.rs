//! Blocking waits: the thread parks until it is due.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{CancelToken, Enqueued, Joining, Place, Progress, Request};
use crate::sync::{Parker, thread_local};
use crate::{Grant, Timestamp, WaitError};

/// Wakes a parked thread.
struct Unpark(Parker);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// The parker of this thread, made once.
    static THREAD: Arc<Unpark> = Arc::new(Unpark(Parker::new()));
}

/// Blocks until `permits` are granted, `deadline` can no longer be met, or `cancel` is cancelled.
/// `enqueue` passes the request to the limiter.
pub(crate) fn wait<'a>(
    enqueue: impl FnOnce(Request<'_>) -> Result<Enqueued<'a>, WaitError>,
    permits: u64,
    deadline: Timestamp,
    cancel: Option<&CancelToken>,
) -> Result<Grant, WaitError> {
    if cancel.is_some_and(CancelToken::is_cancelled) {
        return Err(WaitError::Cancelled);
    }
    let thread = this_thread();
    let waker = Waker::from(Arc::clone(&thread));
    match enqueue(Request::new(permits, deadline, Some(&waker)))?.into_joining() {
        Joining::Granted(_, grant) => Ok(grant),
        Joining::Waiting(place) => park(&thread, &waker, place, cancel),
    }
}

/// Blocks until the wait in `place` has ended.
pub(crate) fn park_until_done(place: Place<'_>) -> Result<Grant, WaitError> {
    let thread = this_thread();
    park(&thread, &Waker::from(Arc::clone(&thread)), place, None)
}

fn this_thread() -> Arc<Unpark> {
    // A thread that is being torn down has lost its thread-local values.
    THREAD.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Unpark(Parker::new())))
}

fn park(
    thread: &Unpark,
    waker: &Waker,
    mut place: Place<'_>,
    cancel: Option<&CancelToken>,
) -> Result<Grant, WaitError> {
    let _registration = cancel.map(|token| token.register(waker));
    loop {
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(WaitError::Cancelled);
        }
        match place.step(waker) {
            Progress::Done(outcome) => return outcome,
            Progress::Until(due) => {
                let clock_wakes = place.queue().wake_at(due, waker);
                thread.0.park((!clock_wakes).then(|| due - place.queue().now()));
            }
        }
    }
}
