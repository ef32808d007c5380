//! A reservation of a permit for a model at a later time.

use std::fmt;
use std::time::Duration;

use super::ModelPermit;
use super::in_use::ModelInUse;
use crate::llm::{Error, Reservation};
use crate::wait::Timer;
use crate::{Clock, CounterClock};

/// A place in the queue of a model, as a [`Reservation`] is one in the queue of a limiter. It
/// borrows nothing, and so can be moved to another task.
#[must_use = "a reservation that is dropped gives up its place"]
pub struct ModelReservation<T, C: Clock + Clone = CounterClock> {
    // Dropped first: the model is in use until the place is given up.
    reservation: Reservation<'static, C>,
    model: ModelInUse<T, C>,
}

impl<T, C: Clock + Clone> ModelReservation<T, C> {
    pub(super) fn new(reservation: Reservation<'static, C>, model: ModelInUse<T, C>) -> Self {
        Self { reservation, model }
    }

    /// The model that was asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// See [`Reservation::delay`].
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.reservation.delay()
    }

    /// Blocks the thread until the request may be sent.
    ///
    /// # Errors
    ///
    /// As [`ModelPool::wait`](super::ModelPool::wait).
    pub fn wait(self) -> Result<ModelPermit<T, C>, Error> {
        let permit = self.reservation.wait()?;
        self.model.permit(permit)
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
    pub async fn wait_on(self, timer: &dyn Timer) -> Result<ModelPermit<T, C>, Error> {
        let permit = self.reservation.wait_on(timer).await?;
        self.model.permit(permit)
    }
}

impl<T, C: Clock + Clone> fmt::Debug for ModelReservation<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelReservation")
            .field("model", self.model.name())
            .field("delay", &self.delay())
            .finish_non_exhaustive()
    }
}
