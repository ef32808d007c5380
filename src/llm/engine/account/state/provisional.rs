//! The limit of a server that states none, before and after a restart.

use std::time::Duration;

use super::Restored;
use crate::Timestamp;
use crate::llm::ProvisionalState;
use crate::llm::engine::account::provisional::{
    FEWEST, FIRST_HOLD, LASTS, LONGEST_HOLD, Limit, Provisional,
};
use crate::llm::state::millis_up;

impl Provisional {
    /// The limit in force. What was sent while there was none is not part of the state.
    pub(super) fn state(&self, now: Timestamp) -> Option<ProvisionalState> {
        self.limit.map(|limit| ProvisionalState {
            limit: limit.count,
            least: limit.least,
            hold_ms: millis_up(limit.hold),
            grows_after_ms: millis_up(limit.grows_at - now),
            ends_after_ms: millis_up(limit.ends_at - now),
        })
    }

    /// Puts the limit of an earlier process in force, or the stricter of both. `newest` is the number
    /// of the last request.
    pub(super) fn restore_state(&mut self, saved: ProvisionalState, at: Restored, newest: u64) {
        let count = saved.limit.max(FEWEST);
        let hold = Duration::from_millis(saved.hold_ms).clamp(FIRST_HOLD, LONGEST_HOLD);
        let restored = Limit {
            count,
            least: saved.least.min(count),
            after: newest,
            hold,
            grows_at: at.now + at.rest_of(saved.grows_after_ms).min(hold),
            ends_at: at.now + at.rest_of(saved.ends_after_ms).min(LASTS),
        };
        self.limit = Some(match self.limit {
            None => restored,
            Some(known) => Limit {
                count: known.count.min(restored.count),
                least: known.least.min(restored.least),
                after: known.after,
                hold: known.hold.max(restored.hold),
                grows_at: known.grows_at.max(restored.grows_at),
                ends_at: known.ends_at.max(restored.ends_at),
            },
        });
    }
}
