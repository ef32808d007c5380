//! Requests to a pool of keys that let others go first.

use std::time::Duration;

use super::{LowPriority, acquire_behind, wait_behind};
use crate::llm::{Error, KeyPool, PoolPermit, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

impl<T, C: Clock + Clone> KeyPool<T, C> {
    /// A view for requests that let others go first.
    #[must_use]
    pub fn low_priority(&self) -> LowPriority<'_, Self> {
        LowPriority { limiter: self }
    }
}

impl<'a, T, C: Clock + Clone> LowPriority<'a, KeyPool<T, C>> {
    /// Blocks the thread until a key can serve the request.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait`].
    ///
    /// ```
    /// use tollgate::llm::{KeyPool, Limits};
    /// let pool = KeyPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// assert_eq!(pool.low_priority().wait(1_500)?.id(), "main");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'a, T, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks the thread for at most `timeout`, of which the time in the line of low-priority
    /// requests is a part.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait_timeout`].
    pub fn wait_timeout(
        self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<PoolPermit<'a, T, C>, Error> {
        self.wait_until(estimate.into(), self.limiter.clock().now() + timeout, None)
    }

    /// Blocks the thread until a key can serve the request, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait_cancellable`].
    pub fn wait_cancellable(
        self,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<PoolPermit<'a, T, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, Some(cancel))
    }

    fn wait_until(
        self,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<PoolPermit<'a, T, C>, Error> {
        let permit = wait_behind(&self.limiter.borrowed(), tokens, deadline, cancel)?;
        self.limiter.permit(permit)
    }

    /// Waits until a key can serve the request, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire_on`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it move up.
    pub async fn acquire_on(
        self,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<PoolPermit<'a, T, C>, Error> {
        let engine = self.limiter.borrowed();
        let permit = acquire_behind(engine, estimate.into(), Timestamp::MAX, timer).await?;
        self.limiter.permit(permit)
    }

    /// Waits on tokio until a key can serve the request.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub async fn acquire(self, estimate: impl Into<Tokens>) -> Result<PoolPermit<'a, T, C>, Error> {
        self.acquire_on(estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but waits for at most `timeout`, which starts with this
    /// call.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<PoolPermit<'a, T, C>, Error>> {
        let engine = self.limiter.borrowed();
        let deadline = engine.clock().now() + timeout;
        let permit = acquire_behind(engine, estimate.into(), deadline, &crate::TokioTimer);
        async move { self.limiter.permit(permit.await?) }
    }
}
