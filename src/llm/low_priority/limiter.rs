//! Requests to one limiter that let others go first.

use std::time::Duration;

use super::{LowPriority, acquire_behind, wait_behind};
use crate::llm::{Error, Limiter, Permit, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

impl<C: Clock + Clone> Limiter<C> {
    /// A view for requests that let others go first.
    #[must_use]
    pub fn low_priority(&self) -> LowPriority<'_, Self> {
        LowPriority { limiter: self }
    }
}

impl<'a, C: Clock + Clone> LowPriority<'a, Limiter<C>> {
    /// Blocks the thread until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`Limiter::wait`].
    ///
    /// ```
    /// use tollgate::llm::Limiter;
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// model.low_priority().wait(1_500)?.settle(900);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(self, estimate: impl Into<Tokens>) -> Result<Permit<'a, C>, Error> {
        wait_behind(&self.limiter.borrowed(), estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks the thread for at most `timeout`, of which the time in the line of low-priority
    /// requests is a part.
    ///
    /// # Errors
    ///
    /// As [`Limiter::wait_timeout`].
    pub fn wait_timeout(
        self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<Permit<'a, C>, Error> {
        let deadline = self.limiter.clock().now() + timeout;
        wait_behind(&self.limiter.borrowed(), estimate.into(), deadline, None)
    }

    /// Blocks the thread until the request may be sent, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`Limiter::wait_cancellable`].
    pub fn wait_cancellable(
        self,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<Permit<'a, C>, Error> {
        wait_behind(&self.limiter.borrowed(), estimate.into(), Timestamp::MAX, Some(cancel))
    }

    /// Waits until the request may be sent, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`Limiter::acquire_on`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it move up.
    pub async fn acquire_on(
        self,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<Permit<'a, C>, Error> {
        acquire_behind(self.limiter.borrowed(), estimate.into(), Timestamp::MAX, timer).await
    }

    /// Waits on tokio until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`Limiter::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub async fn acquire(self, estimate: impl Into<Tokens>) -> Result<Permit<'a, C>, Error> {
        self.acquire_on(estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but waits for at most `timeout`, which starts with this
    /// call.
    ///
    /// # Errors
    ///
    /// As [`Limiter::acquire_timeout`].
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Permit<'a, C>, Error>> {
        let deadline = self.limiter.clock().now() + timeout;
        acquire_behind(self.limiter.borrowed(), estimate.into(), deadline, &crate::TokioTimer)
    }
}
