//! The state of an account as plain values, and an account that goes on from there.
//!
//! To restore a state only ever takes: nothing that is used already is given back, no configured
//! limit is raised, and no pause is shortened. So a state can be restored twice, and into an
//! account that is in use.

mod health;
mod learned;
mod limit;
mod provisional;
mod renewal;

use std::time::Duration;

use super::evidence::Refill;
use super::{Account, LimitEvent};
use crate::Timestamp;
use crate::llm::engine::Options;
use crate::llm::limits::MAX_LIMITS;
use crate::llm::{AccountState, UsedState};

/// The moment at which a state is restored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    pub(super) now: Timestamp,
    /// The time since the state was taken.
    elapsed: Duration,
    /// The longest pause that responses can cause. A state can't cause a longer one either.
    max_pause: Duration,
    /// Whether refusals of a server that states no limit can cause one.
    provisional_limit: bool,
}

impl Restored {
    /// A state is restored at `now`, `elapsed` after it was taken.
    pub(crate) fn new(now: Timestamp, elapsed: Duration, options: &Options) -> Self {
        let Options { max_pause, provisional_limit, .. } = *options;
        Self { now, elapsed, max_pause, provisional_limit }
    }

    /// The rest of a time that was to last `millis` when the state was taken.
    fn rest_of(self, millis: u64) -> Duration {
        Duration::from_millis(millis).saturating_sub(self.elapsed)
    }

    /// The age of what was `millis` old when the state was taken.
    fn age_of(self, millis: u64) -> Duration {
        Duration::from_millis(millis).saturating_add(self.elapsed)
    }

    /// The time that is `age` ago, or the clock's origin.
    fn ago(self, age: Duration) -> Timestamp {
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        Timestamp::from_nanos(self.now.as_nanos().saturating_sub(age))
    }
}

impl Account {
    /// The state at `now`. Requests in flight count as used.
    pub(crate) fn state(&self, now: Timestamp) -> AccountState {
        AccountState {
            limits: self.meters.iter().filter_map(|meter| meter.state(now)).collect(),
            learned: self.sources.state(),
            provisional: self.provisional.state(now),
            health: self.health.state(now),
        }
    }

    /// Goes on from a state. A limit that was configured then and is not now is ignored.
    pub(crate) fn restore_state(
        &mut self,
        state: &AccountState,
        at: Restored,
        events: &mut Vec<LimitEvent>,
    ) {
        let learned = self.sources.restore_state(&state.learned, at.now);
        let provisional = state.provisional.filter(|_| at.provisional_limit && self.is_unknown());
        if let Some(provisional) = provisional {
            self.provisional.restore_state(provisional, at, self.newest);
            self.put_provisional(at.now);
        }
        let mut seen = Vec::new();
        // No account has more limits, or two of a kind: whatever else there is was not written by
        // one.
        for limit in state.limits.iter().take(MAX_LIMITS) {
            let Some(kind) = limit.kind().filter(|kind| !seen.contains(kind)) else { continue };
            seen.push(kind);
            if learned.contains(&kind) {
                let refill = match limit.used {
                    UsedState::RefilledAfterMs(_) => Refill::Even,
                    UsedState::Grants(_) => self.sources.strict_refill(kind),
                };
                self.learn(at.now, kind, limit.limit, refill, at.max_pause, events);
            }
            let is_configured = self.limits.get(kind).is_some();
            let is_new = learned.contains(&kind) && !is_configured;
            if let Some(meter) = self.meters.of(kind) {
                if let Some(renewal) = limit.renewal.filter(|_| is_new && meter.is_strict()) {
                    meter.restore_renewal(renewal, at);
                }
                meter.restore_state(limit, at, self.newest);
            }
        }
        self.health.restore_state(&state.health, at);
    }
}
