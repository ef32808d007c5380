//! A promise of a permit for later.

use std::time::Duration;

use super::engine::{Engine, Handle, Request};
use super::{Error, Permit, Tokens};
use crate::wait::{QueueHandle, Request as WaitRequest, Reservation as Promise, Timer};
use crate::{Clock, CounterClock, Grant, Timestamp, WaitError};

/// A place in the line for a request with so many tokens: known now, used when it is due.
///
/// Sleep for [`delay`](Self::delay) by yourself, or let [`wait`](Self::wait) do it. Dropped, it gives
/// its place and what was taken back: only a [`Permit`] lets a request out.
///
/// ```
/// use std::time::Duration;
/// use tollgate::ManualClock;
/// use tollgate::llm::Limiter;
///
/// let clock = ManualClock::new();
/// let model = Limiter::builder().tokens_per_minute(600).clock(clock.clone()).build()?;
/// model.consume_tokens(600);
/// let reservation = model.reserve(100)?;
/// assert_eq!(reservation.delay(), Some(Duration::from_secs(10)));
/// clock.advance(Duration::from_secs(10));
/// reservation.wait()?.settle(80);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a reservation that is dropped gives its permit up"]
#[derive(Debug)]
pub struct Reservation<'a, C: Clock = CounterClock> {
    engine: &'a Engine<C>,
    tokens: Tokens,
    promise: Option<Promise<'a>>,
}

impl<'a, C: Clock> Reservation<'a, C> {
    pub(crate) fn new(engine: &'a Engine<C>, tokens: Tokens) -> Result<Self, Error> {
        let request = Request::new(Handle::Borrowed(engine), tokens)?;
        let tokens = request.tokens;
        let queue = QueueHandle::Owned(Box::new(request));
        let promised = WaitRequest::new(1, Timestamp::MAX, None).join(queue);
        let promised = promised.map_err(|error| engine.explain(error, tokens))?;
        Ok(Self { engine, tokens, promise: Some(Promise::new(1, promised)) })
    }

    /// How long until the request may go out. `None` if it never may, or if that depends on when a request in flight
    /// ends.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.promise.as_ref().map_or(Some(Duration::ZERO), Promise::delay)
    }

    /// Blocks until the request may go out.
    ///
    /// # Errors
    ///
    /// As [`Limiter::wait`](super::Limiter::wait).
    pub fn wait(mut self) -> Result<Permit<'a, C>, Error> {
        let granted = self.promise.take().map_or(Err(WaitError::Closed), Promise::wait);
        self.permit(granted)
    }

    /// Waits on any runtime's `timer`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the permit up.
    pub async fn wait_on(mut self, timer: &'a dyn Timer) -> Result<Permit<'a, C>, Error> {
        let granted = match self.promise.take() {
            Some(promise) => promise.wait_on(timer).await,
            None => Err(WaitError::Closed),
        };
        self.permit(granted)
    }

    fn permit(&self, granted: Result<Grant, WaitError>) -> Result<Permit<'a, C>, Error> {
        match granted {
            Ok(grant) => Ok(Permit::new(Handle::Borrowed(self.engine), grant.taken, self.tokens)),
            Err(error) => Err(self.engine.explain(error, self.tokens)),
        }
    }
}

impl<C: Clock> Drop for Reservation<'_, C> {
    fn drop(&mut self) {
        if let Some(promise) = self.promise.take() {
            promise.cancel();
        }
    }
}
