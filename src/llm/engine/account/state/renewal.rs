//! The end of a server's window, before and after a restart.

use super::Restored;
use crate::Timestamp;
use crate::llm::RenewalState;
use crate::llm::engine::account::meter::{Meter, Renewal};
use crate::llm::state::{millis_down, millis_up};

impl Meter {
    pub(super) fn renewal_state(&self, now: Timestamp) -> Option<RenewalState> {
        let Renewal { next, last, in_flight, .. } = self.renewal?;
        // An end that has come, since when nothing was taken, is the last one.
        let (next, last) = match next {
            Some(end) if end <= now => (None, Some(end)),
            _ => (next, last),
        };
        Some(RenewalState {
            ends_after_ms: next.map(|end| millis_up(end - now)),
            ended_ms_ago: last.map(|end| millis_down(now - end)),
            in_flight,
        })
    }

    /// Expects the end of the window that the earlier process expected. What was in flight there
    /// stays in flight here, since its answers are lost.
    pub(super) fn restore_renewal(&mut self, saved: RenewalState, at: Restored) {
        // A damaged state must not put the end off for ever.
        let longest = self.period().saturating_mul(2);
        self.renewal = Some(Renewal {
            next: saved.ends_after_ms.map(|millis| at.now + at.rest_of(millis).min(longest)),
            last: saved.ended_ms_ago.map(|millis| at.ago(at.age_of(millis))),
            in_flight: saved.in_flight,
            is_restored: true,
        });
    }
}
