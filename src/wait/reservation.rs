//! Permits that are reserved for a later time.

use std::time::Duration;

use super::{Acquire, Enqueued, Joining, Place, QueueHandle, Timer, blocking};
use crate::{Grant, WaitError};

/// Permits that are reserved for a certain time: a place in the queue whose holder sleeps by
/// itself.
///
/// A reservation is served in order with the waiters, and moves up like them when an earlier waiter
/// leaves. Sleep for [`delay`](Self::delay) and act, or let [`wait`](Self::wait) sleep. After a
/// [`set_quota`](crate::RateLimiter::set_quota) the delay may be longer than before: call `delay`
/// again before you act.
///
/// A reservation that is dropped **before** it is due gives up its place, because its holder cannot
/// have acted yet. If it is dropped **after** it is due, its permits count as used;
/// [`cancel`](Self::cancel) gives them back.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
///
/// let clock = ManualClock::new();
/// let limiter = TokenBucket::builder(Quota::per_second(10).burst(2)).clock(clock).build()?;
/// limiter.allow_n(2);
/// let first = limiter.reserve(2)?;
/// let second = limiter.reserve(1)?;
/// assert_eq!(first.delay(), Some(Duration::from_millis(200)));
/// assert_eq!(second.delay(), Some(Duration::from_millis(300)));
/// first.cancel();
/// assert_eq!(second.delay(), Some(Duration::from_millis(100)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a reservation that is dropped before it is due gives up its permits"]
pub struct Reservation<'a> {
    permits: u64,
    state: State<'a>,
}

enum State<'a> {
    /// The permits were available at once.
    Granted(QueueHandle<'a>, Grant),
    Queued(Place<'a>),
    /// The reservation was waited for, cancelled or dropped.
    Ended,
}

impl<'a> Reservation<'a> {
    pub(crate) fn new(permits: u64, enqueued: Enqueued<'a>) -> Self {
        let state = match enqueued.into_joining() {
            Joining::Granted(queue, grant) => State::Granted(queue, grant),
            Joining::Waiting(place) => State::Queued(place),
        };
        Self { permits, state }
    }

    /// How many permits are reserved.
    ///
    /// ```
    /// # use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(9))?;
    /// assert_eq!(limiter.reserve(4)?.permits(), 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn permits(&self) -> u64 {
        self.permits
    }

    /// How long until the permits are available; zero if they are. `None` if they never will be:
    /// after the limiter was closed, or after a change that made the burst too small or the
    /// deadline of [`reserve_within`](crate::RateLimiter::reserve_within) impossible. Then
    /// [`wait`](Self::wait) fails at once.
    ///
    /// ```
    /// # use std::time::Duration; use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(9))?;
    /// let (now, later) = (limiter.reserve(9)?, limiter.reserve(1)?);
    /// assert_eq!(now.delay(), Some(Duration::ZERO));
    /// limiter.close();
    /// assert_eq!(later.delay(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        match &self.state {
            State::Queued(place) => place.delay(),
            State::Granted(..) | State::Ended => Some(Duration::ZERO),
        }
    }

    /// Blocks until the permits are available, and takes them.
    ///
    /// # Errors
    ///
    /// When the limiter is closed meanwhile, or a change makes the reservation impossible, as for
    /// [`delay`](Self::delay).
    ///
    /// ```
    /// # use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1_000).burst(1))?;
    /// let (now, soon) = (limiter.reserve(1)?, limiter.reserve(1)?);
    /// now.wait()?;
    /// soon.wait()?; // a millisecond later
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(mut self) -> Result<Grant, WaitError> {
        match self.end() {
            State::Queued(place) => blocking::park_until_done(place),
            State::Granted(queue, grant) => Ok(kept(&queue, grant)),
            State::Ended => Err(WaitError::Closed),
        }
    }

    /// Waits until the permits are available, woken by `timer`, and takes them.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the permits are given up.
    ///
    /// ```
    /// # use tollgate::{Quota, RateLimiter, Sleep, Timer, TokenBucket}; use std::time::Duration;
    /// # struct AsyncIo;
    /// # impl Timer for AsyncIo {
    /// #     fn sleep(&self, duration: Duration) -> Option<Sleep> {
    /// #         Some(Box::pin(async move { async_io::Timer::after(duration).await; }))
    /// #     }
    /// # }
    /// let limiter = TokenBucket::new(Quota::per_second(9))?;
    /// let grant = futures_lite::future::block_on(limiter.reserve(4)?.wait_on(&AsyncIo))?;
    /// assert_eq!(grant.permits, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn wait_on(mut self, timer: &'a dyn Timer) -> Result<Grant, WaitError> {
        match self.end() {
            State::Queued(place) => Acquire::from_place(place, timer).await,
            State::Granted(queue, grant) => Ok(kept(&queue, grant)),
            State::Ended => Err(WaitError::Closed),
        }
    }

    /// Gives the permits back, whether they are due or not, and the waiters behind move up. Permits
    /// that were refilled since the grant, or by a [`reset`](crate::RateLimiter::reset), are not
    /// given back a second time.
    ///
    /// ```
    /// # use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(9))?;
    /// limiter.reserve(9)?.cancel();
    /// assert!(limiter.allow_n(9));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(mut self) {
        match self.end() {
            // As many permits as were taken. The price of a request may have changed since.
            State::Granted(queue, grant) => queue.refund(grant),
            // The drop of the place leaves the queue, or gives back the grant.
            State::Queued(place) => drop(place),
            State::Ended => {}
        }
    }

    /// Ends the reservation, and returns the state before.
    fn end(&mut self) -> State<'a> {
        std::mem::replace(&mut self.state, State::Ended)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        match self.end() {
            State::Queued(place) => place.settle(),
            State::Granted(queue, grant) => queue.keep(grant),
            State::Ended => {}
        }
    }
}

/// Makes a held grant final.
fn kept(queue: &QueueHandle<'_>, grant: Grant) -> Grant {
    queue.keep(grant);
    grant
}

impl std::fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("permits", &self.permits).finish_non_exhaustive()
    }
}
