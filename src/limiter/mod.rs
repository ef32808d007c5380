//! The face of every limiter.

mod forward;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use forward::forward_rate_limiter;

use crate::wait::held::{Held, OwnedQueue};
use crate::wait::{Acquire, AcquireOwned, Reservation, Timer, WaitQueue, blocking};
use crate::{
    CancelToken, CarryOver, ConsumeError, Grant, Quota, QuotaError, Rejection, Timestamp, Usage,
    WaitError,
};

/// What every limiter can do. Object safe: `Arc<dyn RateLimiter>` works.
///
/// | you want to | call |
/// |---|---|
/// | drop what is too much | [`allow`](Self::allow) |
/// | answer "come back in 3 s" | [`try_acquire`](Self::try_acquire) |
/// | slow a thread down | [`wait`](Self::wait) |
/// | slow a task down | `acquire(n).await` (feature `tokio`), [`acquire_with`](Self::acquire_with) |
/// | know now when you may act | [`reserve`](Self::reserve) |
/// | record what is already spent | [`consume`](Self::consume) |
/// | look | [`usage`](Self::usage), [`delay_for`](Self::delay_for) |
///
/// Most callers should wait, with a deadline. Those who wait are served first come, first served,
/// and nothing overtakes them: while somebody waits, `allow` is `false`.
///
/// A request for 0 permits passes, unless the limiter is closed, in debt, or somebody waits.
///
/// ```
/// use std::sync::Arc;
/// use tollgate::{Quota, RateLimiter, TokenBucket};
///
/// let limiter: Arc<dyn RateLimiter> = Arc::new(TokenBucket::new(Quota::per_second(50))?);
/// assert!(limiter.allow());
/// limiter.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    note = "one key of a keyed limiter is a `RateLimiter`: `for_key(&key)` or `for_key_owned(key)`"
)]
pub trait RateLimiter: Send + Sync {
    /// Takes `permits` now, or says when or why not. Nothing is taken in part.
    ///
    /// # Errors
    ///
    /// [`Rejection::Denied`] with the time to wait, [`Rejection::ExceedsBurst`] if no wait would
    /// help, [`Rejection::Closed`] after [`close`](Self::close).
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, Rejection, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_minute(60).burst(5))?;
    /// assert_eq!(limiter.try_acquire(5)?.remaining, 0);
    /// assert!(matches!(limiter.try_acquire(1), Err(Rejection::Denied { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection>;

    /// How long until `permits` could be had, behind those who already wait. Takes nothing.
    ///
    /// # Errors
    ///
    /// [`Rejection::ExceedsBurst`] or [`Rejection::Closed`]: no wait would help.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{ManualClock, Quota, RateLimiter, TokenBucket};
    /// let clock = ManualClock::new();
    /// let limiter = TokenBucket::builder(Quota::per_second(10)).clock(clock).build()?;
    /// limiter.allow_n(10);
    /// assert_eq!(limiter.delay_for(3)?, Duration::from_millis(300));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection>;

    /// Records usage that already happened, whether the permits were there or not; says how long
    /// until the debt is paid. Works on a closed limiter too.
    ///
    /// # Errors
    ///
    /// [`ConsumeError::DebtTooLarge`] when it could not be repaid within 584 years; then nothing is recorded.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_minute(60))?;
    /// limiter.consume(90)?;
    /// assert_eq!(limiter.usage().used, 90);
    /// assert!(!limiter.allow());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError>;

    /// Gives permits back, or grants extra ones. The level never exceeds the burst; the rest is lost.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// limiter.allow_n(10);
    /// limiter.credit(4);
    /// assert_eq!(limiter.usage().remaining, 4);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn credit(&self, permits: u64);

    /// Takes as many permits as there are, up to `permits`, and says how many: 0 if none, if
    /// somebody waits, or if the limiter is closed.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// assert_eq!(limiter.try_acquire_up_to(7), 7);
    /// assert_eq!(limiter.try_acquire_up_to(7), 3);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn try_acquire_up_to(&self, permits: u64) -> u64;

    /// A look at the limiter at this moment. Takes nothing.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert_eq!(TokenBucket::new(Quota::per_hour(10))?.usage().remaining, 10);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn usage(&self) -> Usage;

    /// Changes the quota; `how` says what becomes of the old level. Those who wait keep their
    /// place and are re-timed; who wants more than the new burst ends with
    /// [`WaitError::ExceedsBurst`], and who can't be served by its deadline any more with
    /// [`WaitError::Timeout`].
    ///
    /// # Errors
    ///
    /// When the quota can't be kept; then nothing changes.
    ///
    /// ```
    /// use tollgate::{CarryOver, Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// limiter.allow_n(10);
    /// limiter.set_quota_with(Quota::per_hour(30), CarryOver::AddDifference)?;
    /// assert_eq!(limiter.usage().remaining, 20);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError>;

    /// Makes all permits there again and forgets debts. Counters go on.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow());
    /// limiter.reset();
    /// assert!(limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn reset(&self);

    /// Refuses everybody from now on, and wakes those who wait with [`WaitError::Closed`]. There
    /// is no way back.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket, WaitError};
    /// let limiter = TokenBucket::new(Quota::per_second(1))?;
    /// limiter.close();
    /// assert_eq!(limiter.wait(), Err(WaitError::Closed));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn close(&self);

    /// Whether [`close`](Self::close) was called.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert!(!TokenBucket::new(Quota::per_second(1))?.is_closed());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn is_closed(&self) -> bool;

    /// The quota that is kept now; of several, the one with the smallest burst.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(50))?;
    /// assert_eq!(limiter.quota(), Quota::per_second(50));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn quota(&self) -> Quota;

    /// The queue that those who wait stand in. A limiter that wraps another returns that one's.
    fn queue(&self) -> &dyn WaitQueue;

    /// Whether one permit was there; takes it.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow());
    /// assert!(!limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[inline]
    fn allow(&self) -> bool {
        self.allow_n(1)
    }

    /// Whether `permits` permits were there; takes all of them or none.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(5))?;
    /// assert!(!limiter.allow_n(6));
    /// assert!(limiter.allow_n(5));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        self.try_acquire(permits).is_ok()
    }

    /// Takes all permits there are, and says how many that was. (Not a way to shut down: see
    /// [`close`](Self::close).)
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(5))?;
    /// assert_eq!(limiter.drain(), 5);
    /// assert!(!limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn drain(&self) -> u64 {
        self.try_acquire_up_to(u64::MAX)
    }

    /// Changes the quota and keeps the used share: 40 of 100 left become 80 of 200. For an upgrade
    /// that shall be felt at once, see [`CarryOver::AddDifference`].
    ///
    /// # Errors
    ///
    /// As [`set_quota_with`](Self::set_quota_with).
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(100))?;
    /// limiter.allow_n(60);
    /// limiter.set_quota(Quota::per_hour(200))?;
    /// assert_eq!(limiter.usage().remaining, 80);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn set_quota(&self, quota: Quota) -> Result<(), QuotaError> {
        self.set_quota_with(quota, CarryOver::default())
    }

    /// The time on the limiter's clock, for [`wait_deadline`](Self::wait_deadline).
    ///
    /// ```
    /// use tollgate::{ManualClock, Quota, RateLimiter, Timestamp, TokenBucket};
    /// let clock = ManualClock::new();
    /// let limiter = TokenBucket::builder(Quota::per_second(1)).clock(clock).build()?;
    /// assert_eq!(limiter.now(), Timestamp::ZERO);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn now(&self) -> Timestamp {
        self.queue().now()
    }

    /// Blocks until a permit is there, and takes it. In an async task, use an `acquire`: this blocks
    /// the thread.
    ///
    /// # Errors
    ///
    /// [`WaitError::Closed`], or [`WaitError::QueueFull`] if the limiter bounds its queue.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1000).burst(1))?;
    /// limiter.wait()?;
    /// limiter.wait()?; // a millisecond later
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait(&self) -> Result<Grant, WaitError> {
        self.wait_n(1)
    }

    /// Blocks until `permits` are there, and takes them.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`WaitError::ExceedsBurst`] at once if they never will be.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1000).burst(3))?;
    /// assert_eq!(limiter.wait_n(3)?.remaining, 0);
    /// assert!(limiter.wait_n(4).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait_n(&self, permits: u64) -> Result<Grant, WaitError> {
        blocking::wait(self.queue(), permits, Timestamp::MAX, None)
    }

    /// Blocks for at most `timeout`. A wait that would take longer fails **at once**.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::Timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// assert!(limiter.wait_timeout(1, Duration::ZERO).is_ok());
    /// assert!(limiter.wait_timeout(1, Duration::from_secs(60)).is_err()); // does not take a minute
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn wait_timeout(&self, permits: u64, timeout: Duration) -> Result<Grant, WaitError> {
        self.wait_deadline(permits, self.now() + timeout)
    }

    /// Blocks until `deadline` on the limiter's clock. A wait that would take longer fails at once.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(10))?;
    /// let deadline = limiter.now() + Duration::from_secs(2);
    /// limiter.wait_deadline(1, deadline)?;
    /// limiter.wait_deadline(1, deadline)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait_deadline(&self, permits: u64, deadline: Timestamp) -> Result<Grant, WaitError> {
        blocking::wait(self.queue(), permits, deadline, None)
    }

    /// Blocks until `permits` are there or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::Cancelled`].
    ///
    /// ```
    /// use tollgate::{CancelToken, Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(10))?;
    /// limiter.wait_cancellable(1, &CancelToken::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait_cancellable(&self, permits: u64, cancel: &CancelToken) -> Result<Grant, WaitError> {
        blocking::wait(self.queue(), permits, Timestamp::MAX, Some(cancel))
    }

    /// Blocks until `permits` are there or `cancel` is cancelled, and for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`wait_cancellable`](Self::wait_cancellable), and [`WaitError::Timeout`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{CancelToken, Quota, RateLimiter, TokenBucket};
    /// let (limiter, shutdown) = (TokenBucket::new(Quota::per_second(10))?, CancelToken::new());
    /// limiter.wait_cancellable_timeout(1, Duration::from_secs(1), &shutdown)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait_cancellable_timeout(
        &self,
        permits: u64,
        timeout: Duration,
        cancel: &CancelToken,
    ) -> Result<Grant, WaitError> {
        blocking::wait(self.queue(), permits, self.now() + timeout, Some(cancel))
    }

    /// Promises `permits` for later, behind those who wait.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n).
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1000))?;
    /// let reservation = limiter.reserve(5)?;
    /// std::thread::sleep(reservation.delay());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn reserve(&self, permits: u64) -> Result<Reservation<'_>, WaitError> {
        Reservation::new(self.queue(), permits, Timestamp::MAX)
    }

    /// Promises `permits` if they can be had within `max_delay`.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and [`WaitError::Timeout`]; then nothing is reserved.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// limiter.allow();
    /// assert!(limiter.reserve_within(1, Duration::from_secs(60)).is_err());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn reserve_within(
        &self,
        permits: u64,
        max_delay: Duration,
    ) -> Result<Reservation<'_>, WaitError> {
        Reservation::new(self.queue(), permits, self.now() + max_delay)
    }

    /// Waits for `permits` in a future, on any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    ///
    /// See [`Timer`] for an example.
    fn acquire_with<'a>(&'a self, permits: u64, timer: &'a dyn Timer) -> Acquire<'a> {
        Acquire::new(self.queue(), permits, Timestamp::MAX, timer)
    }

    /// As [`acquire_with`](Self::acquire_with), but fails at once if it would take longer than
    /// `timeout`, counted from this call.
    ///
    /// # Errors
    ///
    /// As [`acquire_with`](Self::acquire_with), and [`WaitError::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_with`](Self::acquire_with).
    fn acquire_timeout_with<'a>(
        &'a self,
        permits: u64,
        timeout: Duration,
        timer: &'a dyn Timer,
    ) -> Acquire<'a> {
        Acquire::new(self.queue(), permits, self.now() + timeout, timer)
    }

    /// Waits for `permits` on tokio. Under paused time, build the limiter with
    /// [`TokioClock`](crate::TokioClock).
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing and gives its place in the queue to those behind it.
    ///
    /// ```
    /// # use tollgate::{Quota, RateLimiter, TokenBucket};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = TokenBucket::new(Quota::per_second(1000).burst(1))?;
    /// limiter.acquire(1).await?;
    /// limiter.acquire(1).await?; // a millisecond later
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    fn acquire(&self, permits: u64) -> Acquire<'_> {
        self.acquire_with(permits, &crate::TokioTimer)
    }

    /// As [`acquire`](Self::acquire), but fails **at once** if it would take longer than `timeout`,
    /// counted from this call.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`WaitError::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use std::time::Duration; use tollgate::{Quota, RateLimiter, TokenBucket};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// limiter.acquire_timeout(1, Duration::from_secs(5)).await?;
    /// assert!(limiter.acquire_timeout(1, Duration::from_secs(5)).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    fn acquire_timeout(&self, permits: u64, timeout: Duration) -> Acquire<'_> {
        self.acquire_timeout_with(permits, timeout, &crate::TokioTimer)
    }

    // Without the feature, rustc would suggest `try_acquire` for an unknown `acquire`.
    #[cfg(not(feature = "tokio"))]
    #[doc(hidden)]
    fn acquire(&self, _permits: u64) -> std::future::Pending<Result<Grant, WaitError>>
    where
        Self: Sized + NeedsFeatureTokio,
    {
        std::future::pending()
    }

    #[cfg(not(feature = "tokio"))]
    #[doc(hidden)]
    fn acquire_timeout(
        &self,
        _permits: u64,
        _timeout: Duration,
    ) -> std::future::Pending<Result<Grant, WaitError>>
    where
        Self: Sized + NeedsFeatureTokio,
    {
        std::future::pending()
    }

    /// [`acquire_with`](Self::acquire_with) in a future that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_with`](Self::acquire_with).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_with`](Self::acquire_with).
    fn acquire_owned_with(self: Arc<Self>, permits: u64, timer: Arc<dyn Timer>) -> AcquireOwned
    where
        Self: Sized + 'static,
    {
        AcquireOwned::new(Held(OwnedQueue::new(self)), permits, Timestamp::MAX, timer)
    }

    /// [`acquire`](Self::acquire) in a future that borrows nothing, to be spawned or stored. An
    /// `Arc<dyn RateLimiter>` can be moved into a block:
    /// `async move { limiter.acquire(1).await }`.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use std::sync::Arc; use tollgate::{Quota, RateLimiter, TokenBucket};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limiter = Arc::new(TokenBucket::new(Quota::per_second(10))?);
    /// let grant = tokio::spawn(Arc::clone(&limiter).acquire_owned(1)).await??;
    /// assert_eq!(grant.remaining, 9);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    fn acquire_owned(self: Arc<Self>, permits: u64) -> AcquireOwned
    where
        Self: Sized + 'static,
    {
        self.acquire_owned_with(permits, Arc::new(crate::TokioTimer))
    }
}

/// No type implements this trait: it makes rustc name the feature that a call needs.
///
/// ```compile_fail,E0277
/// # use tollgate::{Quota, RateLimiter, TokenBucket};
/// # async fn run() {
/// let limiter = TokenBucket::new(Quota::per_second(1)).unwrap();
/// limiter.acquire(1).await.unwrap(); // error: `acquire().await` needs the feature `tokio`
/// # }
/// ```
#[cfg(not(feature = "tokio"))]
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`acquire().await` needs the feature `tokio` of tollgate",
    label = "turn the feature `tokio` on to await permits",
    note = "in Cargo.toml: `tollgate = {{ version = \"..\", features = [\"tokio\"] }}`",
    note = "on another runtime, bring its timer: `acquire_with(permits, &timer)`"
)]
pub trait NeedsFeatureTokio {}
