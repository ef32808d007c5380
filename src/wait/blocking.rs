//! A thread that waits: it parks until it is due.

use std::sync::Arc;
use std::task::{Wake, Waker};

use super::{CancelToken, Place, Progress, WaitQueue};
use crate::sync::{park_timeout, thread};
use crate::{Grant, Timestamp, WaitError};

/// Wakes a parked thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
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
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let _registration = cancel.map(|token| token.register(&waker));
    loop {
        if cancel.is_some_and(CancelToken::is_cancelled) {
            return Err(WaitError::Cancelled);
        }
        match place.step(&waker) {
            Progress::Done(outcome) => return outcome,
            Progress::Until(due) => {
                if place.queue().wake_at(due, &waker) {
                    thread::park();
                } else {
                    park_timeout(due - place.queue().now());
                }
            }
        }
    }
}
