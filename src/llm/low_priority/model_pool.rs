//! Requests to a pool of models that let others go first.

use std::time::Duration;

use super::{LowPriority, acquire_behind, wait_behind};
use crate::llm::{Error, ModelPermit, ModelPool, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// A view for requests that let others go first, model by model.
    #[must_use]
    pub fn low_priority(&self) -> LowPriority<'_, Self> {
        LowPriority { limiter: self }
    }
}

impl<T, C: Clock + Clone> LowPriority<'_, ModelPool<T, C>> {
    /// Blocks the thread until a key can serve the request to `model`.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::wait`].
    ///
    /// ```
    /// use tollgate::llm::{Limits, ModelPool};
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// assert_eq!(pool.low_priority().wait("gpt-x", 1_500)?.id(), "main");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks the thread for at most `timeout`, of which the time in the line of low-priority
    /// requests is a part.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::wait_timeout`].
    pub fn wait_timeout(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), self.limiter.clock().now() + timeout, None)
    }

    /// Blocks the thread until a key can serve the request to `model`, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::wait_cancellable`].
    pub fn wait_cancellable(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), Timestamp::MAX, Some(cancel))
    }

    fn wait_until(
        self,
        model: &str,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<ModelPermit<T, C>, Error> {
        let model = self.limiter.in_use(model);
        let permit = wait_behind(&model.engine(), tokens, deadline, cancel)?;
        model.permit(permit)
    }

    /// Waits until a key can serve the request to `model`, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::acquire_on`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it move up.
    pub async fn acquire_on(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<ModelPermit<T, C>, Error> {
        let model = self.limiter.in_use(model);
        let permit = acquire_behind(model.engine(), estimate.into(), Timestamp::MAX, timer).await?;
        model.permit(permit)
    }

    /// Waits on tokio until a key can serve the request to `model`.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub async fn acquire(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.acquire_on(model, estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but waits for at most `timeout`, which starts with this
    /// call.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        self,
        model: &str,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<ModelPermit<T, C>, Error>> {
        let model = self.limiter.in_use(model);
        let deadline = self.limiter.clock().now() + timeout;
        let permit = acquire_behind(model.engine(), estimate.into(), deadline, &crate::TokioTimer);
        async move { model.permit(permit.await?) }
    }
}
