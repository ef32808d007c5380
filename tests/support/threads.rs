//! Threads that wait on a manual clock.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tollgate::{CancelToken, Grant, WaitError};

use crate::subject::Subject;

/// A thread in `wait`, and its place in the queue is taken.
pub(crate) fn wait_on_a_thread(s: &Subject, permits: u64) -> JoinHandle<Result<Grant, WaitError>> {
    let (limiter, before) = (Arc::clone(&s.limiter), s.waiting());
    let thread = thread::spawn(move || limiter.wait_n(permits));
    queued(s, before + 1);
    thread
}

/// As [`wait_on_a_thread`], with a token to end it.
pub(crate) fn wait_on(
    s: &Subject,
    n: u64,
    token: &CancelToken,
) -> JoinHandle<Result<Grant, WaitError>> {
    let (limiter, before, token) = (Arc::clone(&s.limiter), s.waiting(), token.clone());
    let thread = thread::spawn(move || limiter.wait_cancellable(n, &token));
    queued(s, before + 1);
    thread
}

fn queued(s: &Subject, waiting: usize) {
    while s.waiting() < waiting {
        thread::yield_now();
    }
}

/// Returns when `threads` have gone to sleep.
pub(crate) fn parked(s: &Subject, threads: usize) {
    while s.clock.sleepers() < threads {
        thread::yield_now();
    }
}
