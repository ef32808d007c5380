//! A reservation of a permit for a later time.

use std::time::Duration;

use super::engine::{Handle, QueuedRequest};
use super::{Error, Permit, Tokens};
use crate::wait::{QueueHandle, Request as WaitRequest, Reservation as ReservedPlace, Timer};
use crate::{Clock, CounterClock, Grant, Timestamp, WaitError};

/// A place in the queue for one request and its tokens, whose due time is known in advance.
///
/// Sleep for [`delay`](Self::delay) yourself and then call [`wait`](Self::wait), or let `wait` do
/// the sleeping. Dropping the reservation gives up its place, and gives back what was taken: only a
/// [`Permit`] permits sending the request.
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
#[must_use = "a reservation that is dropped gives up its place"]
#[derive(Debug)]
pub struct Reservation<'a, C: Clock = CounterClock> {
    engine: Handle<'a, C>,
    tokens: Tokens,
    asked: Tokens,
    place: Option<ReservedPlace<'a>>,
}

impl<'a, C: Clock> Reservation<'a, C> {
    pub(crate) fn new(engine: Handle<'a, C>, tokens: Tokens) -> Result<Self, Error> {
        let request = QueuedRequest::new(engine.clone(), tokens)?;
        let (tokens, asked) = (request.tokens, request.asked);
        let queue = QueueHandle::Owned(Box::new(request));
        let reserved = WaitRequest::new(1, Timestamp::MAX, None).join(queue);
        let reserved = reserved.map_err(|error| engine.explain(error, tokens))?;
        Ok(Self { engine, tokens, asked, place: Some(ReservedPlace::new(1, reserved)) })
    }

    /// The time until the request may be sent; `None` if it never may, or if that depends on when a
    /// request in flight ends.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.place.as_ref().map_or(Some(Duration::ZERO), ReservedPlace::delay)
    }

    /// Blocks the thread until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`Limiter::wait`](super::Limiter::wait).
    pub fn wait(mut self) -> Result<Permit<'a, C>, Error> {
        let granted = self.place.take().map_or(Err(WaitError::Closed), ReservedPlace::wait);
        self.permit(granted)
    }

    /// Waits until the request may be sent, with the `timer` of any async runtime.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and [`Error::NoTimer`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the place in the queue and the permit.
    pub async fn wait_on(mut self, timer: &dyn Timer) -> Result<Permit<'a, C>, Error> {
        let granted = match self.place.take() {
            Some(place) => place.wait_on(timer).await,
            None => Err(WaitError::Closed),
        };
        self.permit(granted)
    }

    fn permit(&self, granted: Result<Grant, WaitError>) -> Result<Permit<'a, C>, Error> {
        match granted {
            Ok(grant) => {
                let engine = self.engine.clone();
                Ok(Permit::new(engine, grant.taken, self.tokens, self.asked))
            }
            Err(error) => Err(self.engine.explain(error, self.tokens)),
        }
    }
}

impl<C: Clock> Drop for Reservation<'_, C> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            place.cancel();
        }
    }
}
