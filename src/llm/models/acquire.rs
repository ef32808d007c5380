//! How a request for a model gets a key: at once, by waiting, or for a later time.

use std::time::Duration;

use super::in_use::ModelInUse;
use super::{ModelPermit, ModelPool, ModelReservation};
use crate::llm::limiter::{acquire, delay_for, wait_until};
use crate::llm::{Error, Permit, Reservation, Tokens};
use crate::wait::Timer;
use crate::{CancelToken, Clock, Timestamp};

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
        let (model, asked) = (self.in_use(model), estimate.into());
        let engine = model.engine();
        let (taken, tokens) = engine.try_acquire(asked)?;
        model.permit(Permit::new(engine, taken, tokens, asked))
    }

    /// Blocks the thread until a key can serve the request to `model`.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait`](crate::llm::KeyPool::wait).
    ///
    /// ```
    /// use tollgate::llm::{Limits, ModelPool};
    /// let pool = ModelPool::new();
    /// pool.add("main", "sk-1", Limits::new())?;
    /// pool.wait("gpt-x", 1_500)?.settle(900);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), Timestamp::MAX, None)
    }

    /// Blocks the thread for at most `timeout`. Fails at once if the wait would take longer.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait_timeout`](crate::llm::KeyPool::wait_timeout).
    pub fn wait_timeout(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), self.clock().now() + timeout, None)
    }

    /// Blocks the thread until a key can serve the request to `model`, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::wait_cancellable`](crate::llm::KeyPool::wait_cancellable).
    pub fn wait_cancellable(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<ModelPermit<T, C>, Error> {
        self.wait_until(model, estimate.into(), Timestamp::MAX, Some(cancel))
    }

    fn wait_until(
        &self,
        model: &str,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<ModelPermit<T, C>, Error> {
        let model = self.in_use(model);
        let permit = wait_until(model.engine(), tokens, deadline, cancel)?;
        model.permit(permit)
    }

    /// Reserves the request to `model` for a later time; it is queued behind earlier waiters. Which
    /// key serves it is known when its time has come.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::reserve`](crate::llm::KeyPool::reserve).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::ManualClock;
    /// use tollgate::llm::{KeyPool, Limits, ModelPool};
    /// let clock = ManualClock::new();
    /// let pool = ModelPool::with_options(KeyPool::builder().clock(clock.clone()));
    /// pool.add("main", "sk-1", Limits::new().requests_per_minute(1))?;
    /// pool.try_acquire("gpt-x", 0)?.settle(0);
    /// let reservation = pool.reserve("gpt-x", 0)?;
    /// assert_eq!(reservation.delay(), Some(Duration::from_secs(60)));
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(reservation.wait()?.id(), "main");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve(
        &self,
        model: &str,
        estimate: impl Into<Tokens>,
    ) -> Result<ModelReservation<T, C>, Error> {
        let model = self.in_use(model);
        let reservation = Reservation::new(model.engine(), estimate.into())?;
        Ok(ModelReservation::new(reservation, model))
    }

    /// The time until a request to `model` with this estimate could be sent with some key, behind
    /// the current waiters. Takes nothing.
    ///
    /// # Errors
    ///
    /// As [`KeyPool::delay_for`](crate::llm::KeyPool::delay_for).
    pub fn delay_for(&self, model: &str, estimate: impl Into<Tokens>) -> Result<Duration, Error> {
        delay_for(self.in_use(model).engine(), estimate.into())
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
        acquire_until(self.in_use(model), estimate.into(), Timestamp::MAX, timer).await
    }

    /// Waits on tokio until a key can serve a request to `model`. The permit borrows nothing, so it
    /// can be moved to another task.
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
        let deadline = self.clock().now() + timeout;
        acquire_until(self.in_use(model), estimate.into(), deadline, &crate::TokioTimer)
    }
}

async fn acquire_until<T, C: Clock + Clone>(
    model: ModelInUse<T, C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<ModelPermit<T, C>, Error> {
    let permit = acquire(model.engine(), tokens, deadline, timer).await?;
    model.permit(permit)
}
