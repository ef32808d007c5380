//! A limiter of subjects whose levels are in a store.

mod after;
mod builder;
mod cost;
mod decide;
mod grant;
mod leases;
mod name;
mod reservation;
mod waiting;

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::RwLock;
use tokio::sync::Notify;

use super::Client;
use super::store::{LimitSpec, Outcome, Verb};
use crate::{Quota, Rejection};
pub use builder::Builder;
pub use cost::Cost;
pub use grant::{Grant, LimitUsage, Refused, Usage};
use leases::Leases;
use name::Name;
pub use reservation::Reservation;

/// One to eight limits for each subject, which many processes share through a store.
///
/// The methods have the names of those of other limiters, and are `async`. A subject `K` is
/// anything that can be displayed; its text is its name in the store. Clones share everything.
///
/// Each decision is made within a deadline, by the store or as the [`Outage`](super::Outage) mode
/// says; see [`Client`]. A limiter needs a tokio runtime with a timer.
///
/// ```
/// use tollgate::Quota;
/// use tollgate::shared::{Limiter, store::Memory};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = Memory::new(); // or Redis
/// let builder = Limiter::<u64>::builder("users", Quota::per_minute(5));
/// let limiter = builder.store(store).build()?;
/// let grant = limiter.try_acquire(&42, 4).await?;
/// assert_eq!((grant.remaining, grant.limit), (1, 5));
/// assert!(!limiter.allow_n(&42, 2).await?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Limiter<K: ?Sized = str> {
    inner: Arc<Inner>,
    key: PhantomData<fn(&K)>,
}

struct Inner {
    client: Client,
    name: Arc<str>,
    limits: RwLock<Arc<[LimitSpec]>>,
    leases: Option<Leases>,
    is_closed: AtomicBool,
    /// Wakes those who wait when the limiter is closed.
    closing: Notify,
}

impl<K: Display + ?Sized> Limiter<K> {
    /// Begins to build a limiter. `name` tells its subjects from those of other limiters on the
    /// same store: processes share a limit if they use the same name.
    pub fn builder(name: impl Into<Arc<str>>, quota: Quota) -> Builder<K> {
        Builder::new(name.into(), quota)
    }

    /// Takes one permit of each limit if all are available now. Returns whether it took them.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer and the limiter is
    /// [closed](super::Outage::Closed) meanwhile. A request that is limited is no error, but
    /// `false`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub async fn allow(&self, subject: &K) -> Result<bool, Refused> {
        self.allow_n(subject, 1).await
    }

    /// As [`allow`](Self::allow), for a request that costs more.
    ///
    /// # Errors
    ///
    /// See [`allow`](Self::allow).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub async fn allow_n(&self, subject: &K, cost: impl Into<Cost>) -> Result<bool, Refused> {
        let cost = cost.into();
        let ask = match self.asked(Verb::Take, subject, &cost) {
            Err(Refused { rejection: Rejection::ExceedsBurst { .. }, .. }) => return Ok(false),
            ask => ask?,
        };
        let (decision, _) = self.take(&ask, &cost).await?;
        Ok(matches!(decision.answer.outcome, Outcome::Done { .. }))
    }

    /// Takes permits if they are available now, and says how many are left.
    ///
    /// # Errors
    ///
    /// If the permits are not available, if the request is larger than the burst, if the limiter is
    /// closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub async fn try_acquire(&self, subject: &K, cost: impl Into<Cost>) -> Result<Grant, Refused> {
        let cost = cost.into();
        let ask = self.asked(Verb::Take, subject, &cost)?;
        let (decision, lease) = self.take(&ask, &cost).await?;
        let grant = self.grant(&cost, &decision)?;
        Ok(Grant { lease, ..grant })
    }

    /// Takes as many permits of each limit as are available, at most `most`. Returns how many it
    /// took.
    ///
    /// # Errors
    ///
    /// If the limiter is closed, or if the store does not answer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub async fn try_acquire_up_to(&self, subject: &K, most: u64) -> Result<u64, Refused> {
        let asked = self.asked(Verb::TakeUpTo, subject, &most.into())?;
        Ok(self.decide(&asked).await?.answer.count)
    }
}

impl<K: ?Sized> Clone for Limiter<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), key: PhantomData }
    }
}

impl<K: ?Sized> fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Limiter");
        debug.field("name", &self.inner.name).field("limits", &*self.inner.limits.read());
        debug.finish_non_exhaustive()
    }
}
