//! The face of every limiter.

mod forward;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use forward::{forward_methods, forward_to_gate};

use crate::wait::{Acquire, AcquireOwned, Enqueued, Request, Reservation, Timer, blocking};
use crate::{
    CancelToken, CarryOver, Clock, ConsumeError, CounterClock, Grant, Quota, QuotaError, Rejection,
    Timestamp, Usage, WaitError,
};

/// What every limiter can do. `Arc<dyn RateLimiter>`, `Box<dyn RateLimiter>` and `&dyn RateLimiter` work, and are
/// limiters themselves.
///
/// | you want to | call |
/// |---|---|
/// | drop what is too much | [`allow`](Self::allow) |
/// | answer "come back in 3 s" | [`try_acquire`](Self::try_acquire) |
/// | slow a thread down | [`wait`](Self::wait) |
/// | slow a task down | `acquire(n).await` (feature `tokio`), [`acquire_on`](Self::acquire_on) |
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
///
/// # A limiter of your own
///
/// Only [`try_acquire`](Self::try_acquire) must be written. All other methods have a default.
///
/// **A fake for a test** says what it likes. Callers who wait ask it again after each
/// [`retry_after`](Rejection::Denied::retry_after), and at most once a millisecond.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Grant, RateLimiter, Rejection};
///
/// /// Refuses everything.
/// struct Exhausted;
///
/// impl RateLimiter for Exhausted {
///     fn try_acquire(&self, _: u64) -> Result<Grant, Rejection> {
///         Err(Rejection::denied(Duration::from_secs(30)))
///     }
/// }
///
/// fn handle(limiter: &dyn RateLimiter) -> u16 {
///     if limiter.allow() { 200 } else { 429 }
/// }
/// assert_eq!(handle(&Exhausted), 429);
/// assert!(Exhausted.wait_timeout(1, Duration::from_secs(1)).is_err());
/// ```
///
/// **A wrapper** names the limiter that it wraps in [`inner`](Self::inner). All methods that it does not write go
/// there, with as many permits as [`price`](Self::price) says. This one makes every request five times as expensive,
/// and counts what is asked for:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use tollgate::wait::{Enqueued, Request};
/// use tollgate::{Grant, Quota, RateLimiter, Rejection, TokenBucket, WaitError};
///
/// struct Priced {
///     limiter: TokenBucket,
///     requests: AtomicU64,
/// }
///
/// impl RateLimiter for Priced {
///     fn inner(&self) -> Option<&dyn RateLimiter> {
///         Some(&self.limiter)
///     }
///     fn price(&self, permits: u64) -> u64 {
///         permits.saturating_mul(5)
///     }
///     fn try_acquire(&self, permits: u64) -> Result<Grant, Rejection> {
///         self.requests.fetch_add(1, Ordering::Relaxed);
///         self.limiter.try_acquire(self.price(permits))
///     }
///     fn enqueue(&self, request: Request<'_>) -> Result<Enqueued<'_>, WaitError> {
///         self.requests.fetch_add(1, Ordering::Relaxed);
///         let permits = self.price(request.permits());
///         self.limiter.enqueue(request.with_permits(permits))
///     }
/// }
///
/// let limiter = TokenBucket::new(Quota::per_hour(100))?;
/// let priced = Arc::new(Priced { limiter, requests: AtomicU64::new(0) });
/// let shared: Arc<dyn RateLimiter> = priced.clone();
/// assert!(shared.allow()); // takes 5
/// shared.wait_n(2)?; // 10
/// shared.reserve(3)?; // 15
/// shared.consume(4)?; // 20
/// assert_eq!(shared.usage().used, 50);
/// assert_eq!(priced.requests.load(Ordering::Relaxed), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    note = "one key of a keyed limiter is a `RateLimiter`: `for_key(&key)` or `for_key_owned(key)`"
)]
pub trait RateLimiter: AsRateLimiter + Send + Sync {
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
    fn delay_for(&self, permits: u64) -> Result<Duration, Rejection> {
        self.inner().map_or(Ok(Duration::ZERO), |inner| inner.delay_for(self.price(permits)))
    }

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
    fn consume(&self, permits: u64) -> Result<Duration, ConsumeError> {
        self.inner().map_or(Ok(Duration::ZERO), |inner| inner.consume(self.price(permits)))
    }

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
    fn credit(&self, permits: u64) {
        if let Some(inner) = self.inner() {
            inner.credit(self.price(permits));
        }
    }

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
    #[must_use = "permits may have been taken: the answer says whether, or how many"]
    fn try_acquire_up_to(&self, permits: u64) -> u64 {
        let mut most = permits;
        while most > 0 {
            let there = self.usage().remaining;
            let (mut least, mut beyond) = (0, most);
            // The most permits whose price is there.
            while least < beyond {
                let middle = beyond - (beyond - least) / 2;
                if self.price(middle) <= there { least = middle } else { beyond = middle - 1 }
            }
            if least == 0 || self.allow_n(least) {
                return least;
            }
            // Somebody was quicker, or the limiter refuses for another reason.
            most = least / 2;
        }
        0
    }

    /// A look at the limiter at this moment. Takes nothing.
    ///
    /// ```
    /// use tollgate::{Quota, RateLimiter, TokenBucket};
    /// assert_eq!(TokenBucket::new(Quota::per_hour(10))?.usage().remaining, 10);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    fn usage(&self) -> Usage {
        self.inner().map_or_else(|| Usage::new(Quota::unlimited()), RateLimiter::usage)
    }

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
    fn set_quota_with(&self, quota: Quota, how: CarryOver) -> Result<(), QuotaError> {
        self.inner().map_or(Err(QuotaError::Unsupported), |inner| inner.set_quota_with(quota, how))
    }

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
    fn reset(&self) {
        if let Some(inner) = self.inner() {
            inner.reset();
        }
    }

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

    /// The quota that is kept now; of several, the one with the smallest burst.
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

    /// The limiter that this one wraps, if any: whatever a wrapper does not decide by itself goes there. The default is
    /// `None`.
    ///
    /// Without one, the defaults of the other methods do as little as they can: usages are those of an unlimited
    /// limiter, nothing is recorded, and a new quota is refused.
    fn inner(&self) -> Option<&dyn RateLimiter> {
        None
    }

    /// How many permits of the [inner](Self::inner) limiter `permits` permits of this one cost. The default is as many.
    ///
    /// [`consume`](Self::consume), [`credit`](Self::credit), [`delay_for`](Self::delay_for) and
    /// [`enqueue`](Self::enqueue), and with it every wait and reservation, go by it. Your
    /// [`try_acquire`](Self::try_acquire) has to ask it itself. Grants and usages are the inner limiter's, in its
    /// permits.
    fn price(&self, permits: u64) -> u64 {
        permits
    }

    /// Takes the permits of a request whose caller is ready to wait, or a place in the queue: what every `wait`,
    /// `acquire` and `reserve` comes down to. To be written, or called, by wrappers only.
    ///
    /// The default asks the [inner](Self::inner) limiter, if there is one. Without one, the caller asks
    /// [`try_acquire`](Self::try_acquire) again and again, and nobody's turn is kept.
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

    /// Whether one permit was there; takes it.
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

    /// Whether `permits` permits were there; takes all of them or none.
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
        self.inner().map_or_else(|| CounterClock::new().now(), RateLimiter::now)
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
        blocking::wait(|request| self.enqueue(request), permits, Timestamp::MAX, None)
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
        blocking::wait(|request| self.enqueue(request), permits, deadline, None)
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
        blocking::wait(|request| self.enqueue(request), permits, Timestamp::MAX, Some(cancel))
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
        blocking::wait(|request| self.enqueue(request), permits, self.now() + timeout, Some(cancel))
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
    /// if let Some(delay) = reservation.delay() {
    ///     std::thread::sleep(delay);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn reserve(&self, permits: u64) -> Result<Reservation<'_>, WaitError> {
        let request = Request::new(permits, Timestamp::MAX, None);
        Ok(Reservation::new(permits, self.enqueue(request)?))
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
        let request = Request::new(permits, self.now() + max_delay, None);
        Ok(Reservation::new(permits, self.enqueue(request)?))
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
    fn acquire_on<'a>(&'a self, permits: u64, timer: &'a dyn Timer) -> Acquire<'a> {
        Acquire::of(self.as_rate_limiter(), permits, Timestamp::MAX, timer)
    }

    /// As [`acquire_on`](Self::acquire_on), but fails at once if it would take longer than
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
        self.acquire_on(permits, &crate::TokioTimer)
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
        self.acquire_timeout_on(permits, timeout, &crate::TokioTimer)
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

    /// [`acquire_on`](Self::acquire_on) in a future that borrows nothing.
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
        self.acquire_owned_on(permits, Arc::new(crate::TokioTimer))
    }
}

/// A limiter as a trait object, whether its type is known or is one already. Implemented for every limiter.
#[doc(hidden)]
pub trait AsRateLimiter {
    fn as_rate_limiter(&self) -> &dyn RateLimiter;
}

impl<L: RateLimiter> AsRateLimiter for L {
    fn as_rate_limiter(&self) -> &dyn RateLimiter {
        self
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
    note = "on another runtime, bring its timer: `acquire_on(permits, &timer)`"
)]
pub trait NeedsFeatureTokio {}
