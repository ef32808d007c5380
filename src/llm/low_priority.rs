//! Requests that let others go first.

#[cfg(feature = "tokio")]
use std::time::Duration;

use super::engine::{Engine, Handle};
use super::limiter::acquire;
use super::{Error, KeyPool, Limiter, Permit, PoolPermit, Tokens};
use crate::wait::Timer;
use crate::{Clock, Timestamp};

/// A view of a [`Limiter`] or a [`KeyPool`] for requests that let others go first, such as those of
/// a batch beside those of people who wait for an answer.
///
/// Low-priority requests stand in a line of their own, first come, first served, and only the first
/// of them stands in the queue of the limiter. So another request waits for at most one of them,
/// however many there are. That one is served in its turn, so low-priority requests are never
/// starved: each time the queue of the limiter moves on by its length, one of them is served.
///
/// Get one from [`Limiter::low_priority`] or [`KeyPool::low_priority`]. It is cheap, and all of one
/// limiter share one line. The limiter's `max_waiters` applies to that line as well.
///
/// ```
/// # use tollgate::llm::Limiter;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
/// let of_a_batch = model.low_priority().acquire(1_500).await?;
/// of_a_batch.settle(900);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LowPriority<'a, L> {
    limiter: &'a L,
}

impl<L> Clone for LowPriority<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for LowPriority<'_, L> {}

impl<C: Clock + Clone> Limiter<C> {
    /// A view for requests that let others go first.
    #[must_use]
    pub fn low_priority(&self) -> LowPriority<'_, Self> {
        LowPriority { limiter: self }
    }
}

impl<T, C: Clock + Clone> KeyPool<T, C> {
    /// A view for requests that let others go first.
    #[must_use]
    pub fn low_priority(&self) -> LowPriority<'_, Self> {
        LowPriority { limiter: self }
    }
}

/// Waits for a permit of `engine` until `deadline`, behind all low-priority requests before.
async fn acquire_behind<'a, C: Clock + Clone>(
    engine: &'a Engine<C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<Permit<'a, C>, Error> {
    let line = Handle::Borrowed(&**engine.low_priority());
    // Dropped once the request has its permit, or is cancelled: then the next one stands in the
    // queue.
    let _first = acquire(line, Tokens::default(), deadline, timer).await?;
    acquire(Handle::Borrowed(engine), tokens, deadline, timer).await
}

impl<'a, C: Clock + Clone> LowPriority<'a, Limiter<C>> {
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
        acquire_behind(&self.limiter.engine, estimate.into(), Timestamp::MAX, timer).await
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
        let engine = &self.limiter.engine;
        let deadline = engine.clock().now() + timeout;
        acquire_behind(engine, estimate.into(), deadline, &crate::TokioTimer)
    }
}

impl<'a, T, C: Clock + Clone> LowPriority<'a, KeyPool<T, C>> {
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
        let engine = self.limiter.engine();
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
        let engine = self.limiter.engine();
        let deadline = engine.clock().now() + timeout;
        let permit = acquire_behind(engine, estimate.into(), deadline, &crate::TokioTimer);
        async move { self.limiter.permit(permit.await?) }
    }
}
