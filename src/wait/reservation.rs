//! A promise of permits for later.

use std::time::Duration;

use super::{Acquire, Enqueued, Joining, Place, QueueHandle, Timer, blocking};
use crate::{Grant, WaitError};

/// Permits that were promised for a certain time: a place in the queue that you hold yourself.
///
/// It is served in order with those who wait, and moves up like them when somebody before it
/// leaves. Sleep for [`delay`](Self::delay) and act, or let [`wait`](Self::wait) do the sleeping.
/// After a [`set_quota`](crate::RateLimiter::set_quota) the delay may be longer than it was: ask
/// again before you act.
///
/// Dropped **before** it is due, it gives its place up: nobody can have acted on it yet. Dropped
/// **after**, its permits count as used; [`cancel`](Self::cancel) gives them back.
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
#[must_use = "a reservation that is dropped before it is due gives its permits up"]
pub struct Reservation<'a> {
    permits: u64,
    state: State<'a>,
}

enum State<'a> {
    /// The permits were there when they were asked for.
    Granted(QueueHandle<'a>, Grant),
    Queued(Place<'a>),
    /// Waited for, cancelled, or dropped.
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

    /// How many permits are promised.
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

    /// How long until the permits are there; zero if they are. `None` if they never will be: after the limiter was
    /// closed, or after a change that puts them out of reach. [`wait`](Self::wait) then fails at once.
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

    /// Blocks until the permits are there, and takes them.
    ///
    /// # Errors
    ///
    /// When the limiter is closed meanwhile, or a new quota puts the permits out of reach.
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

    /// Waits for the permits on `timer`, and takes them.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the permits up.
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

    /// Gives the permits back, due or not: those behind move up. What has been refilled since the permits were
    /// granted is not given back a second time, nor what a [`reset`](crate::RateLimiter::reset) has brought.
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
            // As many as it took: what a request costs may have changed.
            State::Granted(queue, grant) => queue.refund(grant),
            // Its drop leaves the queue, or gives back what was granted.
            State::Queued(place) => drop(place),
            State::Ended => {}
        }
    }

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

/// A grant that was held and will be used.
fn kept(queue: &QueueHandle<'_>, grant: Grant) -> Grant {
    queue.keep(grant);
    grant
}

impl std::fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("permits", &self.permits).finish_non_exhaustive()
    }
}
