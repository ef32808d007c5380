//! Queues that a wait keeps for itself instead of borrowing them.

use std::ops::Deref;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::{Joined, Progress, Ticket, WaitQueue};
use crate::{Grant, RateLimiter, Timestamp, WaitError};

/// A value where a reference is expected: a queue that belongs to the wait on it.
#[derive(Debug)]
pub struct Held<T>(pub(crate) T);

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A limiter's queue, kept alive with the limiter.
pub struct OwnedQueue(Arc<dyn RateLimiter>);

impl OwnedQueue {
    pub(crate) fn new(limiter: Arc<dyn RateLimiter>) -> Self {
        Self(limiter)
    }
}

impl WaitQueue for OwnedQueue {
    fn now(&self) -> Timestamp {
        self.0.queue().now()
    }

    fn wake_at(&self, deadline: Timestamp, waker: &Waker) -> bool {
        self.0.queue().wake_at(deadline, waker)
    }

    fn jitter(&self) -> Duration {
        self.0.queue().jitter()
    }

    fn join(
        &self,
        permits: u64,
        deadline: Timestamp,
        waker: Option<&Waker>,
    ) -> Result<Joined, WaitError> {
        self.0.queue().join(permits, deadline, waker)
    }

    fn poll(&self, ticket: Ticket, waker: Option<&Waker>, held: bool) -> Progress {
        self.0.queue().poll(ticket, waker, held)
    }

    fn due(&self, ticket: Ticket) -> Timestamp {
        self.0.queue().due(ticket)
    }

    fn is_granted(&self, ticket: Ticket) -> bool {
        self.0.queue().is_granted(ticket)
    }

    fn leave(&self, ticket: Ticket) {
        self.0.queue().leave(ticket);
    }

    fn refund(&self, grant: Grant) {
        self.0.queue().refund(grant);
    }

    fn keep(&self, grant: Grant) {
        self.0.queue().keep(grant);
    }
}
