//! What one request has taken in the store.

use std::sync::Arc;

use smallvec::SmallVec;

use super::account::Account;
use crate::llm::{LimitKind, Tokens};
use crate::shared::store::{Charge as StoreCharge, Receipt, Verb};
use crate::shared::{Slot, Source};

/// What a request has taken. It is [settled](Self::settle) once; what is dropped stays taken, but
/// for the slot.
pub(super) struct Charge {
    pub(super) account: Arc<Account>,
    /// Who has granted it.
    pub(super) source: Source,
    /// The tokens that were taken.
    pub(super) tokens: Tokens,
    pub(super) charged: SmallVec<[Charged; 4]>,
    /// Held while the request is in flight.
    pub(super) _slot: Option<Slot>,
}

/// What was taken of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charged {
    /// The place of the limit.
    pub(super) place: u32,
    pub(super) kind: LimitKind,
    pub(super) receipt: Receipt,
}

impl Charge {
    /// Ends the request, of which `actual` tokens count; nothing of it if that is `None`.
    pub(super) fn settle(self, actual: Option<Tokens>) {
        let used = |kind: LimitKind| actual.map_or(0, |tokens| kind.cost(tokens));
        let taken = |kind: LimitKind| kind.cost(self.tokens);
        self.tell(Verb::HandBack, |kind| taken(kind).saturating_sub(used(kind)));
        self.tell(Verb::Consume, |kind| used(kind).saturating_sub(taken(kind)));
    }

    /// Gives everything back, because the request was not sent. `is_for_later` if its time has not
    /// come.
    pub(super) fn cancel(self, is_for_later: bool) {
        let verb = if is_for_later { Verb::Cancel } else { Verb::HandBack };
        self.tell(verb, |kind| kind.cost(self.tokens));
    }

    fn tell(&self, verb: Verb, permits: impl Fn(LimitKind) -> u64) {
        let charges: SmallVec<[(usize, StoreCharge); 4]> = self
            .charged
            .iter()
            .filter(|charged| permits(charged.kind) > 0)
            .map(|charged| {
                let mut charge = StoreCharge::new(permits(charged.kind));
                charge.receipt = charged.receipt;
                (usize::try_from(charged.place).unwrap_or(usize::MAX), charge)
            })
            .collect();
        if !charges.is_empty() {
            self.account.client.tell(self.account.ask(verb, &charges), self.source);
            if verb != Verb::Consume {
                self.account.line.gave_back();
            }
        }
    }
}
