//! A thread that waits: it parks until it is due.

use std::ops::Deref;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{CancelToken, Place, Progress, WaitQueue};
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
    /// This thread's, made once.
    static THREAD: Arc<Unpark> = Arc::new(Unpark(Parker::new()));
}

/// Blocks until `permits` are granted, `deadline` can't be met any more, or `cancel` is cancelled.
pub(crate) fn wait(
    queue: &dyn WaitQueue,
    permits: u64,
    deadline: Timestamp,
    cancel: Option<&CancelToken>,
) -> Result<Grant, WaitError> {
    if cancel.is_some_and(CancelToken::is_cancelled) {
        return Err(WaitError::Cancelled);
    }
    let thread = this_thread();
    let waker = Waker::from(Arc::clone(&thread));
    match Place::join(queue, permits, deadline, Some(&waker))? {
        Ok((_, grant)) => Ok(grant),
        Err(place) => park(&thread, &waker, place, cancel),
    }
}

/// Blocks on a place in the queue.
pub(crate) fn park_until_done<H>(place: Place<H>) -> Result<Grant, WaitError>
where
    H: Deref,
    H::Target: WaitQueue,
{
    let thread = this_thread();
    park(&thread, &Waker::from(Arc::clone(&thread)), place, None)
}

fn this_thread() -> Arc<Unpark> {
    // A thread that waits while it is torn down has none any more.
    THREAD.try_with(Arc::clone).unwrap_or_else(|_| Arc::new(Unpark(Parker::new())))
}

fn park<H>(
    thread: &Unpark,
    waker: &Waker,
    mut place: Place<H>,
    cancel: Option<&CancelToken>,
) -> Result<Grant, WaitError>
where
    H: Deref,
    H::Target: WaitQueue,
{
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
