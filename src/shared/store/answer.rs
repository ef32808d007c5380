//! What a store answers.

use std::fmt;
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
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Receipt {
    // As bytes, and a byte short of a `u64`: so a `Level` has 64 bytes.
    at: [u8; 8],
    permits: [u8; 7],
}

impl Receipt {
    /// Where the permits are not known exactly: there may be more.
    const MOST: u64 = (1 << 56) - 1;

    /// The receipt of a charge of so many permits. For a store of your own.
    #[must_use]
    #[inline]
    pub fn new(at: u64, permits: u64) -> Self {
        let [permits @ .., _] = permits.min(Self::MOST).to_le_bytes();
        Self { at: at.to_le_bytes(), permits }
    }

    /// A time on the store's clock, whose meaning is the store's.
    #[must_use]
    #[inline]
    pub fn at(self) -> u64 {
        u64::from_le_bytes(self.at)
    }

    /// The permits of the charge, less those that were given back. 2^56 - 1 means so many or more.
    #[must_use]
    #[inline]
    pub fn permits(self) -> u64 {
        let mut permits = [0; 8];
        permits[..7].copy_from_slice(&self.permits);
        u64::from_le_bytes(permits)
    }

    /// Whether somebody keeps, or may keep, some permits of the charge if so many are given back.
    #[must_use]
    pub fn is_more_than(self, permits: u64) -> bool {
        permits < self.permits() || self.permits() == Self::MOST
    }

    /// The receipt for the rest of the charge once so many permits were given back.
    #[must_use]
    pub fn less(self, permits: u64) -> Self {
        match self.permits() {
            Self::MOST => self,
            all => Self::new(self.at(), all.saturating_sub(permits)),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, permits) = (self.at(), self.permits());
        f.debug_struct("Receipt").field("at", &at).field("permits", &permits).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Receipt};

    #[test]
    fn a_receipt_tells_what_is_left_of_its_charge() {
        let receipt = Receipt::new(u64::MAX, 4);
        assert_eq!((receipt.at(), receipt.permits()), (u64::MAX, 4));
        assert!(receipt.is_more_than(3) && !receipt.is_more_than(4));
        let rest = receipt.less(3);
        assert_eq!((rest.at(), rest.permits()), (u64::MAX, 1));
        assert_eq!(rest.less(u64::MAX).permits(), 0);
        assert!(!Receipt::default().is_more_than(0));
    }

    /// Of more permits than are counted, some may always be left.
    #[test]
    fn a_receipt_of_more_than_can_be_counted() {
        let most = Receipt::new(1, u64::MAX);
        assert!(most.is_more_than(u64::MAX) && most.less(u64::MAX).is_more_than(u64::MAX));
        let counted = Receipt::new(1, (1 << 56) - 2);
        assert!(!counted.is_more_than((1 << 56) - 2));
    }

    #[test]
    fn a_level_fits_into_a_cache_line() {
        assert_eq!(size_of::<Level>(), 64);
    }
}
