//! How a request gets a key of a pool: at once, or by waiting.

use std::time::Duration;

use super::{KeyPool, PoolPermit};
use crate::llm::limiter::{acquire, delay_for, wait_until};
use crate::llm::{Error, Permit, PoolReservation, Reservation, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

impl<T, C: Clock> KeyPool<T, C> {
    /// Takes one request and its estimated tokens from a key that can serve it now.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] if no key can serve it now, with the time after which the first key can;
    /// its limit is [`ServerWait`](crate::llm::LimitKind::ServerWait) if that key is paused.
    /// [`Error::NoKeys`], [`Error::Never`], [`Error::ServerWait`] or [`Error::Closed`].
    pub fn try_acquire(&self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'_, T, C>, Error> {
        let asked = estimate.into();
        let (taken, tokens) = self.engine.try_acquire(asked)?;
        self.permit(Permit::new(self.borrowed(), taken, tokens, asked))
    }

    /// Blocks the thread until a key can serve the request.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`], [`Error::Never`], [`Error::ServerWait`], [`Error::QueueFull`] or
    /// [`Error::Closed`].
    pub fn wait(&self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'_, T, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks the thread for at most `timeout`. Fails at once if the wait would take longer.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Timeout`].
    pub fn wait_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.wait_until(estimate.into(), self.engine.clock().now() + timeout, None)
    }

    /// Blocks the thread until a key can serve the request, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Cancelled`].
    pub fn wait_cancellable(
        &self,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, Some(cancel))
    }

    /// Reserves the request for a later time; it is queued behind earlier waiters. Which key serves
    /// it is known when its time has come.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{KeyPool, Limits};
    /// let clock = ManualClock::new();
    /// let pool = KeyPool::builder().clock(clock.clone()).build();
    /// pool.add("main", "sk-1", Limits::new().requests_per_minute(1))?;
    /// pool.try_acquire(0)?.settle(0);
    /// let reservation = pool.reserve(0)?;
    /// assert_eq!(reservation.delay(), Some(Duration::from_secs(60)));
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(reservation.wait()?.id(), "main");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(&self, estimate: impl Into<Tokens>) -> Result<PoolReservation<'_, T, C>, Error> {
        Ok(PoolReservation::new(self, Reservation::new(self.borrowed(), estimate.into())?))
    }

    /// The time until a request with this estimate could be sent with some key, behind the current
    /// waiters. Takes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoKeys`], [`Error::Never`], [`Error::ServerWait`] or [`Error::Closed`];
    /// [`Error::Denied`] if the time depends on when a request in flight ends.
    pub fn delay_for(&self, estimate: impl Into<Tokens>) -> Result<Duration, Error> {
        delay_for(self.borrowed(), estimate.into())
    }

    fn wait_until(
        &self,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.permit(wait_until(self.borrowed(), tokens, deadline, cancel)?)
    }

    /// Waits until a key can serve the request, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it in the queue move up.
    pub async fn acquire_on(
        &self,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.permit(acquire(self.borrowed(), estimate.into(), Timestamp::MAX, timer).await?)
    }

    /// Waits on tokio until a key can serve the request.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it in the queue move up.
    #[cfg(feature = "tokio")]
    pub async fn acquire(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<PoolPermit<'_, T, C>, Error> {
        self.acquire_on(estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but waits for at most `timeout`, and fails at once if the
    /// wait would take longer. The timeout starts with this call, not with the first poll of the
    /// future.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and [`Error::Timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::ManualClock;
    /// # use tollgate::llm::{Error, KeyPool, Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::builder().clock(ManualClock::new()).build();
    /// pool.add("main", "sk-1", Limits::new().requests_per_minute(1))?;
    /// pool.acquire(0).await?.settle(0);
    /// let error = pool.acquire_timeout(0, Duration::from_secs(1)).await.unwrap_err();
    /// assert_eq!(error, Error::Timeout { retry_after: Some(Duration::from_secs(60)) });
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<PoolPermit<'_, T, C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.engine.clock().now() + timeout);
        let permit = acquire(self.borrowed(), tokens, deadline, &crate::TokioTimer);
        async move { self.permit(permit.await?) }
    }

    /// As [`acquire`](Self::acquire), with a permit that borrows nothing and so can be moved to
    /// another task.
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
    /// # use tollgate::llm::{KeyPool, Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// let permit = pool.acquire_owned(100).await?;
    /// let task = tokio::spawn(async move { permit.settle(80) });
    /// task.await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire_owned(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<PoolPermit<'static, T, C>, Error> {
        let timer = &crate::TokioTimer;
        self.permit(acquire(self.shared(), estimate.into(), Timestamp::MAX, timer).await?)
    }

    /// As [`acquire_timeout`](Self::acquire_timeout), with a permit that borrows nothing and so can
    /// be moved to another task.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::llm::{KeyPool, Limits};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// let permit = pool.acquire_owned_timeout(100, Duration::from_secs(30)).await?;
    /// tokio::spawn(async move { permit.settle(80) }).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn acquire_owned_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<PoolPermit<'static, T, C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.engine.clock().now() + timeout);
        let permit = acquire(self.shared(), tokens, deadline, &crate::TokioTimer);
        async move { self.permit(permit.await?) }
    }

    /// Adds the key's record to a permit.
    pub(crate) fn permit<'a>(&self, permit: Permit<'a, C>) -> Result<PoolPermit<'a, T, C>, Error> {
        let record = self.records.lock().get(permit.key() as usize).cloned();
        let Some(record) = record else {
            permit.cancel();
            return Err(Error::NoKeys);
        };
        Ok(PoolPermit::new(permit, record))
    }
}
