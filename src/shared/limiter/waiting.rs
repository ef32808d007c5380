//! Waiting for permits of a shared limit.
//!
//! A waiter takes its permits at once, for later, and sleeps until they are there. So the store
//! decides about the order of all waiters of all processes, and each of them asks once. Permits of
//! windows can't be taken for later: whoever waits for them asks again when they may be there.

use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::decide::closed;
use super::{Cost, Grant, Limiter, Refused};
use crate::Rejection;
use crate::shared::race::{race, sleep};
use crate::shared::store::{Ask, Outcome, Verb};
use crate::shared::{Decision, Source, give_back};

/// The shortest sleep before a window is asked again.
const SHORTEST: Duration = Duration::from_millis(1);

impl<K: Display + ?Sized> Limiter<K> {
    /// Waits until the permits are available, and takes them.
    ///
    /// Waiters for token buckets are served in the order in which they asked the store, whatever
    /// process they are in. Waiters for windows ask again when permits may be there, without an
    /// order among them.
    ///
    /// # Errors
    ///
    /// If the request is larger than the burst, if the limiter is closed, also during the wait, if
    /// the store does not answer, or outside of a runtime with a timer.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the place is given up. The permits are given back, unless others
    /// stand behind in the store: their times do not change, so then the permits are lost.
    pub async fn acquire(&self, subject: &K, cost: impl Into<Cost>) -> Result<Grant, Refused> {
        self.acquire_until(subject, cost.into(), None).await
    }

    /// As [`acquire`](Self::acquire), for at most `timeout`. If the permits will not be available
    /// by then, the refusal comes at once, and nothing is taken. The wait begins when the store has
    /// answered, so it can be longer than `timeout` by one call, at most by the client's deadline.
    ///
    /// # Errors
    ///
    /// See [`acquire`](Self::acquire). [`Rejection::Denied`] says how long the wait would be.
    ///
    /// # Cancel safety
    ///
    /// See [`acquire`](Self::acquire).
    pub async fn acquire_timeout(
        &self,
        subject: &K,
        cost: impl Into<Cost>,
        timeout: Duration,
    ) -> Result<Grant, Refused> {
        self.acquire_until(subject, cost.into(), Instant::now().checked_add(timeout)).await
    }

    async fn acquire_until(
        &self,
        subject: &K,
        cost: Cost,
        deadline: Option<Instant>,
    ) -> Result<Grant, Refused> {
        let left = || deadline.map_or(Duration::MAX, |at| at - Instant::now().min(at));
        loop {
            let mut ask = self.asked(Verb::Take, subject, &cost)?;
            ask.patience = left();
            let decision = self.decide(&ask).await?;
            match self.grant(&cost, &decision) {
                Ok(grant) => {
                    return Promise::new(self, &ask, &decision).keep(self, grant).await;
                }
                Err(refused) => {
                    let Rejection::Denied { retry_after, .. } = refused.rejection else {
                        return Err(refused);
                    };
                    // A token bucket refuses only if the wait is longer than the patience.
                    let is_final = deadline.is_some() && retry_after > left();
                    if is_final || retry_after == Duration::MAX {
                        return Err(refused);
                    }
                    self.sleep(retry_after.max(SHORTEST)).await?;
                }
            }
        }
    }

    /// Sleeps, until the limiter is closed at most.
    async fn sleep(&self, duration: Duration) -> Result<(), Refused> {
        let closing = self.inner.closing.notified();
        if self.inner.is_closed.load(Ordering::Relaxed) {
            return Err(closed());
        }
        let no_timer = |retry_after| {
            let rejection = Rejection::Unavailable { retry_after };
            Refused { rejection, source: Source::Local }
        };
        race(sleep(duration), closing).await.map_err(|()| closed())?.map_err(no_timer)
    }
}

/// Permits that were taken for later. If it is dropped before their time, they are given back.
pub(super) struct Promise {
    cancel: Option<(crate::shared::Client, Ask)>,
    /// When they were taken.
    taken: Instant,
    /// When the permits are there; `None` if that can't be represented.
    due: Option<Instant>,
}

impl Promise {
    pub(super) fn new<K: ?Sized>(limiter: &Limiter<K>, ask: &Ask, decision: &Decision) -> Self {
        let after = match decision.answer.outcome {
            Outcome::Done { after } => after,
            Outcome::Refused | Outcome::Expired => Duration::ZERO,
        };
        let now = Instant::now();
        // Without the store, there is nothing to give back to it.
        let is_shared = decision.source == Source::Shared && !after.is_zero();
        let cancel = if is_shared { give_back(ask, &decision.answer) } else { None };
        let cancel = cancel.map(|cancel| (limiter.inner.client.clone(), cancel));
        Self { cancel, taken: now, due: now.checked_add(after) }
    }

    /// The time until the permits are there.
    pub(super) fn delay(&self) -> Duration {
        let until = |due: Instant| due.saturating_duration_since(Instant::now());
        self.due.map_or(Duration::MAX, until)
    }

    /// Waits until the permits are there. Returns the grant as it is then.
    pub(super) async fn keep<K>(
        mut self,
        limiter: &Limiter<K>,
        mut grant: Grant,
    ) -> Result<Grant, Refused>
    where
        K: Display + ?Sized,
    {
        let delay = self.delay();
        if !delay.is_zero() {
            limiter.sleep(delay).await?;
        }
        self.cancel = None;
        grant.reset_after = grant.reset_after.saturating_sub(self.taken.elapsed());
        Ok(grant)
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let due = self.delay().is_zero();
        if let Some((client, cancel)) = self.cancel.take().filter(|_| !due) {
            client.send(cancel);
        }
    }
}
