//! A thread that waits: it parks until it is due.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{CancelToken, Place, Progress, WaitQueue};
use crate::sync::Parker;
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
    match Place::join(queue, permits, deadline)? {
        Ok(grant) => Ok(grant),
        Err(place) => park_until_done(place, cancel),
    }
}

/// Blocks on a place in the queue.
pub(crate) fn park_until_done(
    mut place: Place<&dyn WaitQueue>,
    cancel: Option<&CancelToken>,
) -> Result<Grant, WaitError> {
    let thread = Arc::new(Unpark(Parker::new()));
    let waker = Waker::from(Arc::clone(&thread));
    let _registration = cancel.map(|token| token.register(&waker));
    loop {
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(WaitError::Cancelled);
        }
        match place.step(&waker) {
            Progress::Done(outcome) => return outcome,
            Progress::Until(due) => {
                let clock_wakes = place.queue().wake_at(due, &waker);
                thread.0.park((!clock_wakes).then(|| due - place.queue().now()));
            }
        }
    }
}
