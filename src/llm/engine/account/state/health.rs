//! Whether an account may be used, before and after a restart.

use std::time::Duration;

use super::Restored;
use crate::Timestamp;
use crate::llm::HealthState;
use crate::llm::engine::account::health::{Health, OVERLOAD_MEMORY, TRIAL};
use crate::llm::state::{millis_down, millis_up};

/// Trouble of earlier than this is forgotten, unless a pause lasts.
const TROUBLE_MEMORY: Duration = Duration::from_secs(24 * 3_600);

/// More failures in a row make no difference.
const MOST_IN_A_ROW: u32 = 1_000;

impl Health {
    pub(in crate::llm::engine::account) fn state(&self, now: Timestamp) -> HealthState {
        HealthState {
            pause_ends_after_ms: millis_up(self.paused_until - now),
            pause_ended_ms_ago: millis_down(now - self.paused_until),
            on_trial: self.on_trial,
            trial_ends_after_ms: millis_up(self.trial_until - now),
            refusals: self.refusals,
            failures: self.failures,
            spent: self.spent,
        }
    }

    /// Goes on from the state. An account about which nothing is known sends one request first, but
    /// not if it was past that before the restart.
    pub(in crate::llm::engine::account) fn restore_state(
        &mut self,
        state: &HealthState,
        at: Restored,
    ) {
        let pause = at.rest_of(state.pause_ends_after_ms).min(at.max_pause);
        let since_pause = at.age_of(state.pause_ended_ms_ago);
        let since_pause =
            since_pause.saturating_sub(Duration::from_millis(state.pause_ends_after_ms));
        let is_old = pause.is_zero() && at.elapsed > TROUBLE_MEMORY;
        let restored = |count: u32| if is_old { 0 } else { count.min(MOST_IN_A_ROW) };
        let refusals = if since_pause > OVERLOAD_MEMORY { 0 } else { restored(state.refusals) };
        let (failures, spent) = (restored(state.failures), restored(state.spent));

        let in_trouble = state.failures > 0 || state.spent > 0;
        let on_trial = state.on_trial && !(is_old && in_trouble);
        let is_on_first_trial = self.on_trial && self.refusals + self.failures + self.spent == 0;
        self.on_trial = on_trial || (self.on_trial && !is_on_first_trial);
        self.trial_until = if self.on_trial {
            self.trial_until.max(at.now + at.rest_of(state.trial_ends_after_ms).min(TRIAL))
        } else {
            Timestamp::ZERO
        };
        if !pause.is_zero() {
            self.paused_until = self.paused_until.max(at.now + pause);
        } else if refusals > 0 {
            self.paused_until = self.paused_until.max(at.ago(since_pause));
        }
        self.refusals = self.refusals.max(refusals);
        self.failures = self.failures.max(failures);
        self.spent = self.spent.max(spent);
        self.troubled = self.on_trial || self.refusals + self.failures + self.spent > 0;
        self.close();
    }
}
