//! How a request gets a permit: at once, by waiting, or for a later time.

#[cfg(feature = "tokio")]
use std::sync::Arc;
use std::time::Duration;

use super::Limiter;
#[cfg(feature = "tokio")]
use crate::llm::OwnedPermit;
use crate::llm::engine::{Handle, QueuedRequest};
use crate::llm::{Error, Permit, Reservation, Tokens};
use crate::wait::{Acquire, QueueHandle, Timer, blocking};
use crate::{CancelToken, Clock, Timestamp, WaitError};

impl<C: Clock> Limiter<C> {
    /// Takes one request and its estimated tokens now. If that is not possible, the error says
    /// which limit is exceeded and when the request can pass.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`], [`Error::Never`] for an estimate larger than a limit,
    /// [`Error::ServerWait`] or [`Error::Closed`].
    ///
    /// ```
    /// use tollgate::llm::{Error, LimitKind, Period, Limiter};
    /// let model = Limiter::builder().requests_per_minute(60).tokens_per_minute(600).build()?;
    /// model.try_acquire(600)?.settle(600);
    /// let Err(Error::Denied { limit, .. }) = model.try_acquire(10) else { panic!() };
    /// assert_eq!(limit, LimitKind::Tokens(Period::MINUTE));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
        let asked = estimate.into();
        let (taken, tokens) = self.engine.try_acquire(asked)?;
        Ok(Permit::new(self.borrowed(), taken, tokens, asked))
    }

    /// Takes one request without tokens and settles it immediately; returns whether it was allowed.
    #[must_use]
    pub fn allow(&self) -> bool {
        self.try_acquire(0).map(|permit| permit.settle(0)).is_ok()
    }

    /// Blocks the thread until the request may be sent.
    ///
    /// # Errors
    ///
    /// [`Error::Never`], [`Error::ServerWait`], [`Error::QueueFull`] or [`Error::Closed`].
    pub fn wait(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
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
    ) -> Result<Permit<'_, C>, Error> {
        self.wait_until(estimate.into(), self.clock().now() + timeout, None)
    }

    /// Blocks the thread until the request may be sent, or `cancel` is cancelled.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::Cancelled`].
    pub fn wait_cancellable(
        &self,
        estimate: impl Into<Tokens>,
        cancel: &CancelToken,
    ) -> Result<Permit<'_, C>, Error> {
        self.wait_until(estimate.into(), Timestamp::MAX, Some(cancel))
    }

    fn wait_until(
        &self,
        tokens: Tokens,
        deadline: Timestamp,
        cancel: Option<&CancelToken>,
    ) -> Result<Permit<'_, C>, Error> {
        wait_until(self.borrowed(), tokens, deadline, cancel)
    }

    /// Reserves the request for a later time; it is queued behind earlier waiters.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn reserve(&self, estimate: impl Into<Tokens>) -> Result<Reservation<'_, C>, Error> {
        Reservation::new(self.borrowed(), estimate.into())
    }

    /// Waits until the request may be sent, with the `timer` of any async runtime.
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
    ) -> Result<Permit<'_, C>, Error> {
        acquire(self.borrowed(), estimate.into(), Timestamp::MAX, timer).await
    }

    /// Waits on tokio until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`] outside of a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing. The waiters behind it in the queue move up.
    ///
    /// ```
    /// # use tollgate::llm::Limiter;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// let permit = model.acquire(1_500).await?;
    /// permit.settle(900);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn acquire(&self, estimate: impl Into<Tokens>) -> Result<Permit<'_, C>, Error> {
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
    #[cfg(feature = "tokio")]
    pub fn acquire_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Permit<'_, C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.clock().now() + timeout);
        acquire(self.borrowed(), tokens, deadline, &crate::TokioTimer)
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
    #[cfg(feature = "tokio")]
    pub async fn acquire_owned(
        &self,
        estimate: impl Into<Tokens>,
    ) -> Result<OwnedPermit<C>, Error> {
        let engine = Handle::Shared(Arc::clone(&self.engine));
        acquire(engine, estimate.into(), Timestamp::MAX, &crate::TokioTimer).await
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
    /// # use tollgate::llm::Limiter;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let model = Limiter::builder().tokens_per_minute(200_000).build()?;
    /// let permit = model.acquire_owned_timeout(1_500, Duration::from_secs(30)).await?;
    /// tokio::spawn(async move { permit.settle(900) }).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn acquire_owned_timeout(
        &self,
        estimate: impl Into<Tokens>,
        timeout: Duration,
    ) -> impl Future<Output = Result<OwnedPermit<C>, Error>> {
        let (tokens, deadline) = (estimate.into(), self.clock().now() + timeout);
        let engine = Handle::Shared(Arc::clone(&self.engine));
        acquire(engine, tokens, deadline, &crate::TokioTimer)
    }

    /// The time until a request with this estimate could be sent, behind the current waiters. Takes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Never`], [`Error::ServerWait`] or [`Error::Closed`]; [`Error::Denied`] if the time
    /// depends on when a request in flight ends.
    pub fn delay_for(&self, estimate: impl Into<Tokens>) -> Result<Duration, Error> {
        delay_for(self.borrowed(), estimate.into())
    }
}

/// The time until a request could be sent, behind the current waiters.
pub(crate) fn delay_for<C: Clock>(
    engine: Handle<'_, C>,
    tokens: Tokens,
) -> Result<Duration, Error> {
    let request = QueuedRequest::new(engine, tokens)?;
    request.engine.with_core(|core, now, wakers| {
        let ready = core.check(now, request.tokens, wakers)?;
        match Error::from(core.denial(ready, request.tokens)) {
            Error::Denied { retry_after: Some(delay), .. } => Ok(delay),
            unknown => Err(unknown),
        }
    })
}

/// Blocks the thread until a permit is granted, `deadline` has passed, or `cancel` is cancelled.
pub(crate) fn wait_until<'a, C: Clock>(
    engine: Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    cancel: Option<&CancelToken>,
) -> Result<Permit<'a, C>, Error> {
    let mut request = QueuedRequest::new(engine.clone(), tokens)?;
    loop {
        let enqueue = |asked: crate::wait::Request<'_>| asked.join(QueueHandle::Borrowed(&request));
        match blocking::wait(enqueue, 1, deadline, cancel) {
            Ok(grant) => {
                return Ok(Permit::new(engine, grant.taken, request.tokens, request.asked));
            }
            Err(error) => request = request.lowered(error)?,
        }
    }
}

/// Waits for a permit until `deadline`.
pub(crate) async fn acquire<'a, C: Clock>(
    engine: Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<Permit<'a, C>, Error> {
    // Most requests can be sent at once. As for those that wait, tokio's budget is checked before
    // anything is taken.
    #[cfg(feature = "tokio")]
    tokio::task::coop::consume_budget().await;
    if let Some(taken) = engine.try_acquire_at_once(tokens) {
        return Ok(Permit::new(engine, taken, tokens, tokens));
    }
    // Apart, because it is rare and its future is large.
    Box::pin(wait(engine, tokens, deadline, timer)).await
}

/// Waits in the queue.
async fn wait<'a, C: Clock>(
    engine: Handle<'a, C>,
    tokens: Tokens,
    deadline: Timestamp,
    timer: &dyn Timer,
) -> Result<Permit<'a, C>, Error> {
    let mut request = QueuedRequest::new(engine.clone(), tokens)?;
    loop {
        let queue = QueueHandle::Borrowed(&request);
        let granted: Result<_, WaitError> = Acquire::in_queue(queue, 1, deadline, timer).await;
        match granted {
            Ok(grant) => {
                return Ok(Permit::new(engine, grant.taken, request.tokens, request.asked));
            }
            Err(error) => request = request.lowered(error)?,
        }
    }
}
