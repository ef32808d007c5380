//! The rest of a spent account, which holds for the same account in all models.

use super::health::Health;
use super::state::Restored;
use crate::Timestamp;
use crate::llm::HealthState;

/// The rest of a spent account, without what else is known of the account in one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpentRest {
    pub(super) until: Timestamp,
    /// How many responses in a row have said that the account is spent.
    pub(super) responses: u32,
}

impl SpentRest {
    /// Whether the account still rests.
    pub(crate) fn lasts(self, now: Timestamp) -> bool {
        now < self.until
    }

    /// When the rest ends.
    pub(crate) fn until(self) -> Timestamp {
        self.until
    }

    /// The rest that both of these make.
    pub(crate) fn max(self, other: Self) -> Self {
        let responses = self.responses.max(other.responses);
        Self { until: self.until.max(other.until), responses }
    }

    /// The rest as plain numbers, with nothing else.
    pub(crate) fn state(self, now: Timestamp) -> HealthState {
        Health::default().with_spent_rest(self).state(now)
    }

    /// The rest that a state contains, if it still lasts.
    pub(crate) fn restored(state: &HealthState, at: Restored) -> Option<Self> {
        let mut health = Health::default();
        health.restore_state(state, at);
        let rest = Self { until: health.paused_until, responses: health.spent };
        Some(rest).filter(|rest| rest.responses > 0 && rest.lasts(at.now))
    }
}

impl Health {
    /// The rest of the account if responses say that it is spent.
    pub(crate) fn spent_rest(&self) -> Option<SpentRest> {
        let rest = SpentRest { until: self.spent_until, responses: self.spent.max(1) };
        (rest.until > Timestamp::ZERO).then_some(rest)
    }

    /// Rests at least as long as the same account does in another model, and then sends one request
    /// at a time.
    pub(crate) fn take_spent_rest(&mut self, rest: SpentRest) {
        *self = self.with_spent_rest(rest);
    }

    fn with_spent_rest(mut self, rest: SpentRest) -> Self {
        (self.troubled, self.on_trial) = (true, true);
        self.spent = self.spent.max(rest.responses);
        self.spent_until = self.spent_until.max(rest.until);
        self.pause(rest.until);
        self
    }
}
