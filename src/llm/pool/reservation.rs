//! A reservation of a pool's permit for a later time.

use std::fmt;
use std::time::Duration;

use super::{KeyPool, PoolPermit};
use crate::llm::{Error, Reservation};
use crate::wait::Timer;
use crate::{Clock, CounterClock};

/// A place in the queue of a pool, as a [`Reservation`] is one in the queue of a limiter.
#[must_use = "a reservation that is dropped gives up its place"]
pub struct PoolReservation<'a, T, C: Clock = CounterClock> {
    pool: &'a KeyPool<T, C>,
    reservation: Reservation<'a, C>,
}

impl<'a, T, C: Clock> PoolReservation<'a, T, C> {
    pub(super) fn new(pool: &'a KeyPool<T, C>, reservation: Reservation<'a, C>) -> Self {
        Self { pool, reservation }
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
    /// As [`KeyPool::wait`].
    pub fn wait(self) -> Result<PoolPermit<'a, T, C>, Error> {
        self.pool.permit(self.reservation.wait()?)
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
    pub async fn wait_on(self, timer: &dyn Timer) -> Result<PoolPermit<'a, T, C>, Error> {
        self.pool.permit(self.reservation.wait_on(timer).await?)
    }
}

impl<T, C: Clock> fmt::Debug for PoolReservation<'_, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolReservation").field("delay", &self.delay()).finish_non_exhaustive()
    }
}
