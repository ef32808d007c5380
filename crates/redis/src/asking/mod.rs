//! Asks on their way to a server, and to the servers of a cluster.

pub(crate) mod cluster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tollgate::shared::store::{Answer, Ask, Outcome, StoreError};

use crate::builder::Clock;
use crate::connection::Link;
use crate::wire::{Batch, Opened, micros};

/// A batch of asks.
pub(crate) struct Asking {
    pub(crate) opened: Opened,
    clock: Option<Clock>,
    /// When the asks were made, and what the caller's clock said then.
    began: Instant,
    asked_at: Option<u64>,
}

/// How asks go to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Many in a call.
    Together,
    /// Each in a call of its own, as a cluster needs it.
    Single,
    /// As `Single`, to a server of a cluster to which the slot is on its way.
    Ahead,
}

impl Asking {
    /// The asks are made now.
    pub(crate) fn new(opened: &Opened, clock: Option<&Clock>) -> Self {
        let asked_at = clock.map(now);
        Self { opened: opened.clone(), clock: clock.cloned(), began: Instant::now(), asked_at }
    }

    /// Sends asks to a server, but for those whose time is over.
    pub(crate) async fn send(
        &self,
        link: &Arc<Link>,
        way: Way,
        asks: Vec<Ask>,
    ) -> Vec<Result<Answer, StoreError>> {
        let now = self.clock.as_ref().map(now);
        let waited = match (self.asked_at, now) {
            (Some(asked_at), Some(now)) => Duration::from_micros(now.saturating_sub(asked_at)),
            _ => self.began.elapsed(),
        };
        let number = link.number();
        let is_late = |ask: &Ask| waited > ask.lifetime;
        let answers = if asks.iter().any(is_late) {
            let late: Vec<_> = asks.iter().map(is_late).collect();
            let asks = asks.into_iter().filter(|ask| !is_late(ask)).collect();
            let mut answers = self.call(link, way, asks, waited, now).await.into_iter();
            let expired = || Ok(Answer::new(Outcome::Expired, 0, []));
            let missing = || Err(StoreError::Unreadable("no answer belongs to the ask".into()));
            let mut next = || answers.next().unwrap_or_else(missing);
            late.into_iter().map(|is_late| if is_late { expired() } else { next() }).collect()
        } else {
            self.call(link, way, asks, waited, now).await
        };
        link.heed(number, &answers);
        answers
    }

    /// Asks the server. `waited` is how long the callers have waited already.
    async fn call(
        &self,
        link: &Arc<Link>,
        way: Way,
        asks: Vec<Ask>,
        waited: Duration,
        now: Option<u64>,
    ) -> Vec<Result<Answer, StoreError>> {
        let nobody_after = |ask: &Ask| {
            let left = ask.lifetime.checked_sub(waited).filter(|_| ask.lifetime != Duration::MAX);
            match now {
                Some(now) => left.map(|left| now.saturating_add(micros(left)).clamp(1, 1 << 52)),
                None => left.and_then(|left| link.server_time_in(left)),
            }
        };
        let (is_split, is_asking) = (way != Way::Together, way == Way::Ahead);
        let batch = Batch::new(&self.opened, asks, is_split, true, nobody_after);
        let replies = link.call_all(&batch.calls, now, is_asking).await;
        let mut answers = batch.answers(&self.opened, replies);
        if answers.left.is_empty() {
            return answers.with(Vec::new());
        }
        let left = std::mem::take(&mut answers.left);
        let batch = Batch::new(&self.opened, left, is_split, false, nobody_after);
        let replies = link.call_all(&batch.calls, now, is_asking).await;
        answers.with(batch.answers(&self.opened, replies).with(Vec::new()))
    }

    /// What becomes of an ask that no server is needed for: it does not fit.
    fn misfit(&self, ask: Ask) -> Result<Answer, StoreError> {
        let batch = Batch::new(&self.opened, vec![ask], true, false, |_| None);
        let mut answers = batch.answers(&self.opened, Vec::new()).with(Vec::new()).into_iter();
        answers.next().unwrap_or(Err(StoreError::Misfit("an ask has a part")))
    }
}

/// What a clock of the caller's says, in whole µs.
fn now(clock: &Clock) -> u64 {
    u64::try_from(clock().as_micros()).map_or(1 << 52, |micros| micros.min(1 << 52))
}
