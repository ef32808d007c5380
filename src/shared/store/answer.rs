//! What a store answers.

use std::time::Duration;

use smallvec::SmallVec;

use super::Ask;

/// A store's answer to an [`Ask`](super::Ask).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// What was done.
    pub outcome: Outcome,
    /// How many times the charges were made: [`Ask::count`](super::Ask::count) or 0, but for
    /// [`Verb::TakeUpTo`](super::Verb::TakeUpTo).
    pub count: u64,
    /// The level of each limit after that: one for each charge of each part, in their order; none
    /// if the ask has [expired](Outcome::Expired).
    pub levels: SmallVec<[Level; 2]>,
}

impl Answer {
    /// An answer, for a store of your own.
    #[must_use]
    pub fn new(outcome: Outcome, count: u64, levels: impl IntoIterator<Item = Level>) -> Self {
        Self { outcome, count, levels: levels.into_iter().collect() }
    }
}

impl Answer {
    /// Whether there is one level for each charge of the ask. (An ask that has expired has none.)
    pub(crate) fn has_a_level_for_each(&self, ask: &Ask) -> bool {
        let charges = ask.parts.iter().map(|part| part.charges.len()).sum::<usize>();
        self.outcome == Outcome::Expired || self.levels.len() == charges
    }
}

/// What a store has done with an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// What the verb says. If permits were taken for later, the caller may use them after this
    /// time; otherwise it is zero.
    Done {
        /// The time from the decision on until the permits are there.
        after: Duration,
    },
    /// Nothing: at least one limit refused.
    Refused,
    /// Nothing: the ask came too late.
    Expired,
}

/// What one limit answers to a charge, as of the moment of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Level {
    /// What the limit says to the charge by itself.
    pub verdict: Verdict,
    /// Permits in use; fractions are rounded up. More than the burst means debt.
    pub used: u64,
    /// Whole permits that are left.
    pub remaining: u64,
    /// The time until no permit is in use, rounded up.
    pub full_after: Duration,
    /// If the limit [refuses](Verdict::Refused), or the permits were taken for later: the time
    /// until the permits are there, rounded up. If it grants at once and nothing is left: the
    /// time until the next permit. Otherwise zero.
    pub wait: Duration,
    /// What [`Verb::HandBack`](super::Verb::HandBack) and [`Verb::Cancel`](super::Verb::Cancel)
    /// need to know of the charge.
    pub receipt: Receipt,
}

impl Level {
    /// The level of a limit that has granted a charge, of which `remaining` permits are left.
    /// Change the other fields as needed. For a store of your own.
    #[must_use]
    pub fn new(remaining: u64) -> Self {
        Self {
            verdict: Verdict::Granted,
            used: 0,
            remaining,
            full_after: Duration::ZERO,
            wait: Duration::ZERO,
            receipt: Receipt::default(),
        }
    }
}

/// Whether a limit lets a charge pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It does, now or within [`Ask::patience`](super::Ask::patience).
    Granted,
    /// It does not; the permits will be there later.
    Refused,
    /// It never does: the charge is larger than the burst.
    Never,
}

/// What a store knows of a charge, to take it back later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Receipt {
    /// A time on the store's clock, whose meaning is the store's.
    pub at: u64,
    /// The permits of the charge, less those that were given back. Whoever gives back fewer keeps
    /// the others, and may still wait for them.
    pub permits: u64,
}

impl Receipt {
    /// The receipt of a charge of so many permits. For a store of your own.
    #[must_use]
    pub fn new(at: u64, permits: u64) -> Self {
        Self { at, permits }
    }

    /// The receipt for what is left of the charge once `permits` were given back. For a store of
    /// your own.
    #[must_use]
    pub fn less(self, permits: u64) -> Self {
        Self { permits: self.permits.saturating_sub(permits), ..self }
    }
}
