//! A request that may wait, and the answer of the limiter.

use std::fmt;
use std::task::Waker;

use super::ask_again::AskAgain;
use super::{Joined, Place, QueueHandle};
use crate::{Grant, RateLimiter, Timestamp, WaitError};

/// A request for permits by a caller that is ready to wait for them. Every `wait`, `acquire` and
/// `reserve` passes one to [`RateLimiter::enqueue`].
///
/// A limiter of your own that wraps another limiter passes the request on, if need be with another
/// number of permits.
///
/// ```
/// use tollgate::wait::{Enqueued, Request};
/// use tollgate::{Grant, Quota, RateLimiter, Rejection, TokenBucket, WaitError};
///
/// /// Each request costs one permit more than it asks for.
/// struct Surcharge(TokenBucket);
///
/// impl RateLimiter for Surcharge {
///     fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
///         self.0.try_acquire(permits + 1)
///     }
///     fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
///         let permits = request.permits() + 1;
///         self.0.enqueue(request.with_permits(permits))
///     }
/// }
///
/// let limiter = Surcharge(TokenBucket::new(Quota::per_hour(9))?);
/// limiter.wait_n(3)?;
/// assert_eq!(limiter.0.usage().remaining, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Request<'r> {
    permits: u64,
    deadline: Timestamp,
    /// Called when the place in the queue becomes due earlier. `None` for a reservation, whose
    /// holder sleeps by itself.
    waker: Option<&'r Waker>,
}

impl<'r> Request<'r> {
    pub(crate) fn new(permits: u64, deadline: Timestamp, waker: Option<&'r Waker>) -> Self {
        Self { permits, deadline, waker }
    }

    /// How many permits the request is for.
    #[must_use]
    pub fn permits(&self) -> u64 {
        self.permits
    }

    /// The same request for another number of permits.
    #[must_use]
    pub fn with_permits(self, permits: u64) -> Self {
        Self { permits, ..self }
    }

    /// The latest time on the limiter's clock at which the permits are of use; [`Timestamp::MAX`]
    /// if there is no deadline.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Takes the permits, or a place in `queue`.
    pub(crate) fn join(self, queue: QueueHandle<'_>) -> Result<Enqueued<'_>, WaitError> {
        let Self { permits, deadline, waker } = self;
        Ok(Enqueued(match queue.join(permits, deadline, waker)? {
            Joined::Granted(grant) => Joining::Granted(queue, grant),
            Joined::Queued(ticket, due) => {
                Joining::Waiting(Place::new(queue, ticket, due, deadline, waker.is_none()))
            }
        }))
    }

    /// Waits for `limiter`, which has no queue: the waiter asks it again and again.
    pub(crate) fn ask_again(self, limiter: &dyn RateLimiter) -> Result<Enqueued<'_>, WaitError> {
        let queue = AskAgain::new(limiter, self.permits, self.deadline);
        self.join(QueueHandle::Owned(Box::new(queue)))
    }
}

/// The answer of [`RateLimiter::enqueue`]: the permits, or a place in a queue.
///
/// If it is dropped, a place in a queue is given up, but permits that were granted stay taken.
#[must_use = "if it is dropped, its place in the queue is given up"]
pub struct Enqueued<'a>(Joining<'a>);

/// The content of an [`Enqueued`].
#[derive(Debug)]
pub(crate) enum Joining<'a> {
    Granted(QueueHandle<'a>, Grant),
    Waiting(Place<'a>),
}

impl<'a> Enqueued<'a> {
    /// The content, for a waiter or a reservation.
    pub(crate) fn into_joining(self) -> Joining<'a> {
        self.0
    }

    /// The grant, if the permits were available at once.
    #[must_use]
    pub fn granted(&self) -> Option<&Grant> {
        match &self.0 {
            Joining::Granted(_, grant) => Some(grant),
            Joining::Waiting(_) => None,
        }
    }
}

impl fmt::Debug for Enqueued<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueued").field("granted", &self.granted()).finish_non_exhaustive()
    }
}
