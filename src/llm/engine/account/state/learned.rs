//! What responses have shown about limits, before and after a restart.

use std::time::Duration;

use crate::Timestamp;
use crate::llm::engine::account::evidence::Evidence;
use crate::llm::engine::account::returns::Returns;
use crate::llm::engine::account::sources::{MAX_SOURCES, Source, Sources};
use crate::llm::{EvidenceState, LearnedState, LimitKind, Period};

impl Sources {
    pub(super) fn state(&self) -> Vec<LearnedState> {
        self.0.iter().map(Source::state).collect()
    }

    /// Adds what an earlier process had learned, as far as this one has learned nothing of the same
    /// limit. Returns the kinds of limits that are in force because of that.
    pub(super) fn restore_state(
        &mut self,
        learned: &[LearnedState],
        now: Timestamp,
    ) -> Vec<LimitKind> {
        let mut kinds = Vec::new();
        for source in learned.iter().take(MAX_SOURCES).map(|it| Source::restored(it, now)) {
            let of_the_same =
                |it: &Source| it.counted == source.counted && it.stated == source.stated;
            if self.0.len() >= MAX_SOURCES || self.0.iter().any(of_the_same) {
                continue;
            }
            kinds.extend(source.kind.filter(|kind| !self.have(*kind)));
            self.0.push(source);
        }
        kinds
    }
}

impl Source {
    fn state(&self) -> LearnedState {
        LearnedState {
            counted: self.counted,
            per_seconds: self.kind.and_then(LimitKind::period).map(Period::as_secs),
            stated_seconds: self.stated.map(Period::as_secs),
            documented_even: self.documented_even,
            responses: self.responses,
            evidence: self.evidence.state(),
        }
    }

    fn restored(state: &LearnedState, now: Timestamp) -> Self {
        let period = state.per_seconds.and_then(Period::seconds);
        Self {
            counted: state.counted,
            stated: state.stated_seconds.and_then(Period::seconds),
            evidence: Evidence::restored(&state.evidence),
            returns: Returns::default(),
            documented_even: state.documented_even,
            responses: state.responses,
            has_refused: false,
            reported: now,
            kind: period.map(|period| state.counted.per(period)),
        }
    }
}

impl Evidence {
    fn state(&self) -> EvidenceState {
        let nanos = |it: Duration| u64::try_from(it.as_nanos()).unwrap_or(u64::MAX);
        EvidenceState {
            even_seconds: self.even.map(Period::as_secs),
            agreeing: self.agreeing,
            contradicting: self.contradicting,
            longest_reset_ns: nanos(self.longest_reset),
            implied_ns: self.implied.map(nanos),
            window_gap_ns: self.window_gap.map(nanos),
        }
    }

    /// The end of the last window is not restored: the time since then is not known well enough to
    /// conclude from it that no period is longer.
    fn restored(state: &EvidenceState) -> Self {
        Self {
            even: state.even_seconds.and_then(Period::seconds),
            agreeing: state.agreeing,
            contradicting: state.contradicting,
            longest_reset: Duration::from_nanos(state.longest_reset_ns),
            implied: state.implied_ns.map(Duration::from_nanos),
            if_even: None,
            window_end: None,
            window_gap: state.window_gap_ns.map(Duration::from_nanos),
        }
    }
}
