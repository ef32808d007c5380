//! How a request for a model gets a key: at once, or by waiting.

#[cfg(feature = "tokio")]
use std::time::Duration;

use super::shared::ModelKeys;
use super::{ModelPermit, ModelPool};
use crate::llm::{Error, Tokens};
use crate::wait::Timer;
use crate::{Clock, Timestamp};

impl<T, C: Clock + Clone> ModelPool<T, C> {
    /// Takes one request to `model` and its estimated tokens from a key that can serve it now.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::try_acquire`](crate::llm::KeyPool::try_acquire).
    pub fn try_acquire(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelPermit<T, C>, Error> {
        let pool = self.shared.pool(model);
        let permit = pool.try_acquire_owned(estimate.into())?;
        Ok(ModelPermit::new(permit, pool, &self.shared, model))
    }

    /// Waits until a key can serve a request to `model`, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire_on`](crate::llm::KeyPool::acquire_on).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it in the model's queue move up.
    pub async fn acquire_on(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
        timer: &dyn Timer,
    ) -> Result<ModelPermit<T, C>, Error> {
        let pool = self.shared.pool(model);
        self.acquire_until(model, pool, estimate.into(), Timestamp::MAX, timer).await
    }

    /// Waits on tokio until a key can serve a request to `model`.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire`](crate::llm::KeyPool::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    ///
    /// ```
    /// # use tollgate::llm::{Limits, ModelPool};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// let permit = pool.acquire("gpt-x", 1_500).await?;
    /// assert_eq!((permit.model(), permit.id()), ("gpt-x", "main"));
    /// permit.settle(900);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.acquire_on(model, estimate, &crate::TokioTimer).await
    }

    /// As [`acquire`](Self::acquire), but waits for at most `timeout`, and fails at once if the wait
    /// would take longer. The timeout starts with this call.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::acquire_timeout`](crate::llm::KeyPool::acquire_timeout).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire_on`](Self::acquire_on).
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<ModelPermit<T, C>, Error>> {
        let (pool, tokens) = (self.shared.pool(model), estimate.into());
        let deadline = pool.clock().now() + timeout;
        self.acquire_until(model, pool, tokens, deadline, &crate::TokioTimer)
    }

    async fn acquire_until(
        &self,
        model: &str,
        pool: ModelKeys<T, C>,
        tokens: Tokens,
        deadline: Timestamp,
        timer: &dyn Timer,
    ) -> Result<ModelPermit<T, C>, Error> {
        let permit = pool.acquire_owned_until(tokens, deadline, timer).await?;
        Ok(ModelPermit::new(permit, pool, &self.shared, model))
    }
}
