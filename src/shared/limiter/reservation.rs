//! Permits that are promised for later.

use std::fmt::{self, Display};
use std::time::Duration;

use super::waiting::Promise;
use super::{Cost, Grant, Limiter, Refused};
use crate::shared::store::Verb;

/// Permits that were taken for later; returned by [`Limiter::reserve`]. Dropping it before its time
/// gives the permits back.
#[must_use = "dropping a reservation gives its permits back"]
pub struct Reservation<K: ?Sized = str> {
    limiter: Limiter<K>,
    promise: Promise,
    grant: Grant,
}

impl<K: Display + ?Sized> Limiter<K> {
    /// Takes permits now that may be used later, and says when. Nothing is taken if they will not
    /// be there within `patience`, and never of windows that have to wait.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::Quota;
    /// use tollgate::shared::Limiter;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let limiter: Limiter = Limiter::builder("jobs", Quota::per_hour(1)).build()?;
    /// assert!(limiter.allow("nightly").await?);
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let reservation = limiter.reserve("nightly", 1, day).await?;
    /// assert!(reservation.delay() > Duration::from_secs(59 * 60));
    /// reservation.cancel();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// See [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub async fn reserve(
        &self,
        subject: &K,
        cost: impl Into<Cost>,
        patience: Duration,
    ) -> Result<Reservation<K>, Refused> {
        let cost = cost.into();
        let mut ask = self.asked(Verb::Take, subject, &cost)?;
        ask.patience = patience;
        let decision = self.decide(&ask).await?;
        let grant = self.grant(&cost, &decision)?;
        let promise = Promise::new(self, &ask, &decision);
        Ok(Reservation { limiter: self.clone(), promise, grant })
    }
}

impl<K: Display + ?Sized> Reservation<K> {
    /// The time until the permits may be used; zero if they may be used now.
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.promise.delay()
    }

    /// Waits until the permits may be used.
    ///
    /// # Errors
    ///
    /// If the limiter is closed meanwhile, or outside of a runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the permits are given back as by [`cancel`](Self::cancel).
    pub async fn wait(self) -> Result<Grant, Refused> {
        let Self { limiter, promise, grant } = self;
        promise.keep(&limiter, grant).await
    }

    /// Gives the permits back, as far as nobody stands behind them in the store. Does nothing once
    /// the permits may be used.
    pub fn cancel(self) {}
}

impl<K: ?Sized> fmt::Debug for Reservation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Reservation");
        debug.field("grant", &self.grant).finish_non_exhaustive()
    }
}
