//! The trait of every limiter.

#[cfg(not(feature = "tokio"))]
mod feature_hint;
mod forward;
mod object;

use std::sync::Arc;
use std::time::Duration;

#[cfg(not(feature = "tokio"))]
use feature_hint::NeedsFeatureTokio;
pub(crate) use forward::{forward_methods, forward_to_gate};
use object::AsRateLimiter;

use crate::wait::{Acquire, AcquireOwned, Enqueued, Request, Reservation, Timer, blocking};
use crate::{
    CancelToken, CarryOver, Clock, ConsumeError, CounterClock, Grant, Quota, QuotaError, Rejection,
    Timestamp, Usage, WaitError,
};

/// The methods of every limiter. `Arc<dyn RateLimiter>`, `Box<dyn RateLimiter>` and
/// `&dyn RateLimiter` are limiters too.
///
/// | you want to | call |
/// |---|---|
/// | drop requests beyond the limit | [`allow`](Self::allow) |
/// | answer "come back in 3 s" | [`try_acquire`](Self::try_acquire) |
/// | slow a thread down | [`wait`](Self::wait) |
/// | slow a task down | `acquire(n).await` (feature `tokio`), [`acquire_on`](Self::acquire_on) |
/// | learn now when you may act | [`reserve`](Self::reserve) |
/// | record permits that are already spent | [`consume`](Self::consume) |
/// | inspect the limiter | [`usage`](Self::usage), [`delay_for`](Self::delay_for) |
///
/// Most callers should wait, with a deadline. Waiters are served first come, first served, and no
/// request overtakes them: while somebody waits, `allow` returns `false`.
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
///
/// # Memory ordering
///
/// A limiter orders only its own state. If one call happens before another one, because the same
/// thread makes both or the threads synchronise by other means, then the later call sees the effect
/// of the earlier call. Nothing else is guaranteed: a grant does not make the writes of other
/// threads visible. To pass data from one thread to another, use a lock, a channel or an atomic,
/// even if the present implementation of a limiter uses a lock itself.
///
/// # Cost
///
#[doc = include_str!("cost.md")]
///
/// # A limiter of your own
///
#[doc = include_str!("own_limiter.md")]
#[diagnostic::on_unimplemented(
    note = "one key of a keyed limiter is a `RateLimiter`: `for_key(&key)` or `for_key_owned(key)`"
)]
pub trait RateLimiter: AsRateLimiter + Send + Sync {
    /// Takes all `permits` now, or none of them and says why, and when they can be taken.
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

    /// How long a request for `permits` that joined the queue now would wait. Takes nothing.
    ///
    /// # Errors
    ///
    /// [`Rejection::ExceedsBurst`] or [`Rejection::Closed`] if no wait would help.
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
    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        self.inner().map_or(Ok(Duration::ZERO), |inner| inner.delay_for(self.price(permits)))
    }

    /// Records permits that are already spent, even if fewer are available: the shortfall becomes
    /// debt. Returns how long it takes until the debt is repaid. Works on a closed limiter too.
    ///
    /// # Errors
    ///
    /// [`ConsumeError::DebtTooLarge`] if the debt could not be repaid within 584 years. Then
    /// nothing is recorded.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_minute(60))?;
    /// limiter.consume(90)?;
    /// assert_eq!(limiter.usage().used, 90);
    /// assert!(!limiter.allow());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        self.inner().map_or(Ok(Duration::ZERO), |inner| inner.consume(self.price(permits)))
    }

    /// Gives permits back, or adds extra permits. Permits beyond the burst are discarded.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// limiter.allow_n(10);
    /// limiter.credit(4);
    /// assert_eq!(limiter.usage().remaining, 4);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn credit(&self, permits: u64) {
        if let Some(inner) = self.inner() {
            inner.credit(self.price(permits));
        }
    }

    /// Takes as many permits as are available, up to `permits`, and returns how many it took: 0 if
    /// none are available, if somebody waits, or if the limiter is closed.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// assert_eq!(limiter.try_acquire_up_to(7), 7);
    /// assert_eq!(limiter.try_acquire_up_to(7), 3);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        let mut most = permits;
        while most > 0 {
            let available = self.usage().remaining;
            let (mut least, mut beyond) = (0, most);
            // The largest number of permits whose price is available.
            while least < beyond {
                let middle = beyond - (beyond - least) / 2;
                if self.price(middle) <= available { least = middle } else { beyond = middle - 1 }
            }
            if least == 0 || self.allow_n(least) {
                return least;
            }
            // Another caller took permits meanwhile, or the limiter refuses for another reason.
            most = least / 2;
        }
        0
    }

    /// The state of the limiter at this moment. Takes nothing.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert_eq!(TokenBucket::new(Quota::per_hour(10))?.usage().remaining, 10);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn usage(&self) -> Usage {
        self.inner().map_or_else(|| Usage::new(Quota::unlimited()), RateLimiter::usage)
    }

    /// Changes the quota; `how` says what becomes of the old level. Waiters keep their places, and
    /// their due times are computed anew. A wait for more than the new burst ends with
    /// [`WaitError::ExceedsBurst`], and a wait that can no longer meet its deadline ends with
    /// [`WaitError::Timeout`].
    ///
    /// # Errors
    ///
    /// When the limiter cannot keep the quota. Then nothing changes.
    ///
    /// ```
    /// use tollgate::{CarryOver, Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(10))?;
    /// limiter.allow_n(10);
    /// limiter.set_quota_with(Quota::per_hour(30), CarryOver::AddDifference)?;
    /// assert_eq!(limiter.usage().remaining, 20);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.inner().map_or(Err(QuotaError::Unsupported), |inner| inner.set_quota_with(quota, how))
    }

    /// Refills the limiter and cancels its debt. Counters keep running.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow());
    /// limiter.reset();
    /// assert!(limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn reset(&self) {
        if let Some(inner) = self.inner() {
            inner.reset();
        }
    }

    /// Refuses all requests from now on, and ends all waits with [`WaitError::Closed`]. This cannot
    /// be undone.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket, WaitError};
    /// let limiter = TokenBucket::new(Quota::per_second(1))?;
    /// limiter.close();
    /// assert_eq!(limiter.wait(), Err(WaitError::Closed));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn close(&self) {
        if let Some(inner) = self.inner() {
            inner.close();
        }
    }

    /// Whether [`close`](Self::close) was called.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert!(!TokenBucket::new(Quota::per_second(1))?.is_closed());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn is_closed(&self) -> bool {
        self.inner().is_some_and(RateLimiter::is_closed)
    }

    /// The current quota. For a limiter of several limits: that of the limit with the smallest
    /// burst.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(50))?;
    /// assert_eq!(limiter.quota(), Quota::per_second(50));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn quota(&self) -> Quota {
        self.usage().quota
    }

    /// The limiter that this one wraps, if there is one. Every method that a wrapper does not write
    /// calls the inner limiter. The default is `None`.
    ///
    /// Without an inner limiter, the default methods do as little as they can: `usage` is that of
    /// an unlimited limiter, nothing is recorded, and a new quota is refused.
    fn inner(&self) -> Option<&dyn RateLimiter> {
        None
    }

    /// How many permits of the [inner](Self::inner) limiter a request for `permits` permits of this
    /// limiter costs. The default is `permits`.
    ///
    /// The default methods that pass a number of permits to the inner limiter apply the price:
    /// [`consume`](Self::consume), [`credit`](Self::credit), [`delay_for`](Self::delay_for), and
    /// [`enqueue`](Self::enqueue), which includes every wait and reservation. Your
    /// [`try_acquire`](Self::try_acquire) must apply it itself. Grants and usages come from the
    /// inner limiter and count its permits.
    fn price(&self, permits: u64) -> u64 {
        permits
    }

    /// Takes the permits of a request whose caller is ready to wait, or else a place in the queue.
    /// Every `wait`, `acquire` and `reserve` calls this method. Only wrappers need to write it or
    /// to call it.
    ///
    /// The default asks the [inner](Self::inner) limiter, if there is one. Without one, the waiter
    /// calls [`try_acquire`](Self::try_acquire) again and again, and waiters have no order.
    ///
    /// # Errors
    ///
    /// As [`wait_deadline`](Self::wait_deadline).
    ///
    /// See [`Request`] for an example.
    fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
        match self.inner() {
            Some(inner) => {
                let permits = self.price(request.permits());
                inner.enqueue(request.with_permits(permits))
            }
            None => request.ask_again(self.as_rate_limiter()),
        }
    }

    /// Takes one permit if it is available, and returns whether it did.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(1))?;
    /// assert!(limiter.allow());
    /// assert!(!limiter.allow());
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    #[inline]
    fn allow(&self) -> bool {
        self.allow_n(1)
    }

    /// Takes `permits` permits if all of them are available, and returns whether it did.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_hour(5))?;
    /// assert!(!limiter.allow_n(6));
    /// assert!(limiter.allow_n(5));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    #[inline]
    fn allow_n(&self, permits: u64) -> bool {
        self.try_acquire(permits).is_ok()
    }

    /// Takes all available permits, and returns how many it took. (To shut a limiter down, use
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

    /// Changes the quota and keeps the used share: 40 of 100 permits left become 80 of 200. For an
    /// upgrade that should take effect immediately, see [`CarryOver::AddDifference`].
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
        self.inner().map_or_else(|| CounterClock::new().now(), RateLimiter::now)
    }

    /// Blocks the current thread until a permit is available, and takes it. In async code, use
    /// `acquire`.
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

    /// Blocks until `permits` are available, and takes them.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`WaitError::ExceedsBurst`] at once for more than the burst.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1000).burst(3))?;
    /// assert_eq!(limiter.wait_n(3)?.remaining, 0);
    /// assert!(limiter.wait_n(4).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn wait_n(&self, permits: u64) -> Result<Grant, WaitError> {
        blocking::wait(|request| self.enqueue(request), permits, Timestamp::MAX, None)
    }

    /// Blocks until `permits` are available, but for at most `timeout`. A wait that would take
    /// longer fails **at once**.
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
    /// assert!(limiter.wait_timeout(1, Duration::from_secs(60)).is_err()); // fails at once
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn wait_timeout(&self, permits: u64, timeout: Duration) -> Result<Grant, WaitError> {
        self.wait_deadline(permits, self.now() + timeout)
    }

    /// Blocks until `permits` are available, but no longer than until `deadline` on the limiter's
    /// clock. A wait that would take longer fails at once.
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
        blocking::wait(|request| self.enqueue(request), permits, deadline, None)
    }

    /// Blocks until `permits` are available or `cancel` is cancelled.
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
        blocking::wait(|request| self.enqueue(request), permits, Timestamp::MAX, Some(cancel))
    }

    /// Blocks until `permits` are available or `cancel` is cancelled, but for at most `timeout`.
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
        blocking::wait(|request| self.enqueue(request), permits, self.now() + timeout, Some(cancel))
    }

    /// Reserves `permits` for a later time. The reservation is queued behind earlier waiters.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n).
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// let limiter = TokenBucket::new(Quota::per_second(1000))?;
    /// let reservation = limiter.reserve(5)?;
    /// if let Some(delay) = reservation.delay() {
    ///     std::thread::sleep(delay);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn reserve(&self, permits: u64) -> Result<Reservation<'_>, WaitError> {
        let request = Request::new(permits, Timestamp::MAX, None);
        Ok(Reservation::new(permits, self.enqueue(request)?))
    }

    /// Reserves `permits` if they will be available within `max_delay`.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve), and [`WaitError::Timeout`]. Then nothing is reserved.
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
        let request = Request::new(permits, self.now() + max_delay, None);
        Ok(Reservation::new(permits, self.enqueue(request)?))
    }

    /// A future that waits for `permits`, woken by the `timer` of any runtime.
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped takes nothing and gives up its place in the queue.
    ///
    /// See [`Timer`] for an example.
    fn acquire_on<'a>(&'a self, permits: u64, timer: &'a dyn Timer) -> Acquire<'a> {
        Acquire::of(self.as_rate_limiter(), permits, Timestamp::MAX, timer)
    }

    /// As [`acquire_on`](Self::acquire_on), but fails at once if the wait would take longer than
    /// `timeout`, counted from this call.
    ///
    /// # Errors
    ///
    /// As [`acquire_on`](Self::acquire_on), and [`WaitError::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    fn acquire_timeout_on<'a>(
        &'a self,
        permits: u64,
        timeout: Duration,
        timer: &'a dyn Timer,
    ) -> Acquire<'a> {
        Acquire::of(self.as_rate_limiter(), permits, self.now() + timeout, timer)
    }

    /// A future that waits for `permits`, woken by tokio's timer. If tokio's time is paused, as in
    /// tests, build the limiter with [`TokioClock`](crate::TokioClock).
    ///
    /// # Errors
    ///
    /// As [`wait_n`](Self::wait_n), and [`WaitError::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped takes nothing and gives up its place in the queue.
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
        self.acquire_on(permits, &crate::TokioTimer)
    }

    /// As [`acquire`](Self::acquire), but fails **at once** if the wait would take longer than
    /// `timeout`, counted from this call.
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
        self.acquire_timeout_on(permits, timeout, &crate::TokioTimer)
    }

    // Without this method, rustc would suggest `try_acquire` instead of naming the feature.
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

    /// As [`acquire_on`](Self::acquire_on), for a future that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_on`](Self::acquire_on).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    fn acquire_owned_on(self: Arc<Self>, permits: u64, timer: Arc<dyn Timer>) -> AcquireOwned
    where
        Self: Sized + 'static,
    {
        AcquireOwned::new(self, permits, timer)
    }

    /// As [`acquire`](Self::acquire), for a future that borrows nothing and can be spawned or
    /// stored. For an `Arc<dyn RateLimiter>`, write `async move { limiter.acquire(1).await }`.
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
        self.acquire_owned_on(permits, Arc::new(crate::TokioTimer))
    }
}
