//! Asking the store for what one request needs.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::account::{Account, PAUSE};
use super::charge::{Charge, Charged};
use crate::llm::{Error, LimitKind, Tokens};
use crate::shared::store::{Charge as StoreCharge, Level, Outcome, Verb, Verdict};
use crate::shared::{AskError, Slot, Slots, Source, give_back, within};

/// How long a request without a slot is told to wait: nobody knows when one is free.
const SLOT_AGAIN: Duration = Duration::from_millis(50);

/// A pause that is shorter is none: it is what requests of the same instant have taken.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);

/// What the store says to a request.
pub(super) enum Attempt {
    /// What it needs was taken, and may be used after this time.
    Granted(Charge, Duration),
    /// Nothing was taken: the account is paused for so long.
    Paused(Duration),
    /// Nothing was taken: this limit refuses for so long.
    Refused(LimitKind, Duration),
    /// Nothing was taken: the request is larger than the limit.
    Never(Error),
    /// Nothing was taken: the store does not answer.
    Unavailable(Duration),
}

impl From<AskError> for Attempt {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Unavailable { retry_after } => Self::Unavailable(retry_after),
            // The limits have just changed.
            AskError::Misfit(_) => Self::Unavailable(SLOT_AGAIN),
        }
    }
}

impl Account {
    /// Takes what a request needs, for later if it will be there within `patience`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what was taken is given back.
    pub(super) async fn take(self: &Arc<Self>, tokens: Tokens, patience: Duration) -> Attempt {
        let slot = match &self.slots {
            Some(slots) => match slot_of(slots, patience).await {
                Ok(Some(slot)) => Some(slot),
                Ok(None) => return Attempt::Refused(LimitKind::Concurrency, SLOT_AGAIN),
                Err(error) => return error.into(),
            },
            None => None,
        };
        let costs = self.costs(tokens);
        let asked = costs.iter().map(|(at, _, cost)| (*at, *cost));
        let asked = std::iter::once((PAUSE, 1)).chain(asked);
        let asked = asked.map(|(at, cost)| (at, StoreCharge::new(cost)));
        let mut ask = self.ask(Verb::Take, &asked.collect::<SmallVec<[_; 5]>>());
        ask.patience = patience;
        let decision = match self.client.ask(ask.clone()).await {
            Ok(decision) => decision,
            Err(error) => return error.into(),
        };
        let (answer, source) = (decision.answer, decision.source);
        let places = std::iter::once(PAUSE).chain(costs.iter().map(|(at, ..)| *at));
        let levels = self.levels(&answer, places);
        let Some((pause, levels)) = levels.split_first() else {
            return Attempt::Unavailable(SLOT_AGAIN);
        };
        if source == Source::Shared {
            self.note_levels(costs.iter().map(|(at, ..)| *at).zip(levels));
        }
        match answer.outcome {
            Outcome::Done { after } if !after.is_zero() && pause.wait > SHORTEST_PAUSE => {
                // The process's own limiter decides who waits for the end of a pause.
                let wait = pause.wait;
                if let Some(back) = give_back(&ask, &answer) {
                    self.client.tell(back, source);
                }
                Attempt::Paused(wait)
            }
            Outcome::Done { after } => {
                let taken = costs.iter().zip(levels).map(|((place, kind, _), level)| Charged {
                    place: u32::try_from(*place).unwrap_or(u32::MAX),
                    kind: *kind,
                    receipt: level.receipt,
                });
                let charged = taken.collect();
                let account = Arc::clone(self);
                Attempt::Granted(Charge { account, source, tokens, charged, _slot: slot }, after)
            }
            Outcome::Refused | Outcome::Expired => refusal(pause, levels, &costs),
        }
    }

    /// Notes what is in use of limits, by an answer of the store.
    fn note_levels<'a>(&self, levels: impl Iterator<Item = (usize, &'a Level)>) {
        let (mut known, now) = (self.known.lock(), Instant::now());
        for (place, level) in levels {
            if let Some(limit) = known.limits.get_mut(place - 1) {
                limit.seen = Some((now, level.used));
            }
        }
    }
}

/// A slot, if one is free within `patience`.
async fn slot_of(slots: &Slots, patience: Duration) -> Result<Option<Slot>, AskError> {
    match slots.try_acquire().await? {
        None if !patience.is_zero() => within(patience, slots.acquire()).await.transpose(),
        slot => Ok(slot),
    }
}

/// Why the store has refused.
fn refusal(pause: &Level, levels: &[Level], costs: &[(usize, LimitKind, u64)]) -> Attempt {
    if pause.verdict == Verdict::Refused && pause.wait > SHORTEST_PAUSE {
        return Attempt::Paused(pause.wait);
    }
    let mut longest = (LimitKind::ServerWait, pause.wait);
    for ((_, kind, cost), level) in costs.iter().zip(levels) {
        match level.verdict {
            Verdict::Never => {
                let most = level.used.saturating_add(level.remaining);
                let never = Error::Never { limit: *kind, requested: *cost, most };
                return Attempt::Never(never);
            }
            Verdict::Refused if level.wait >= longest.1 => longest = (*kind, level.wait),
            Verdict::Refused | Verdict::Granted => {}
        }
    }
    Attempt::Refused(longest.0, longest.1)
}
