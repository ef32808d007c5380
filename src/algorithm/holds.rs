//! What may still be given back of grants that can be cancelled.
//!
//! Permits that come back by themselves must not be given back a second time. Let `used` be what is
//! in use of a bucket, and `returnable` what cancelled grants may give back together. A grant adds
//! to both. Refill lowers `used`; once `used` is below `returnable`, some of what could be given
//! back has come back already, and `returnable` falls with it. That is exact: a bucket for which
//! the cancelled grants had never been made would have been full from then on.
//!
//! Which of the grants has lost how much is told by *marks*: "all grants up to this one can give
//! back at most so much". Few are kept; where that is too few, two are merged into the stricter
//! one, so that less is given back, never more.

use crate::Timestamp;

/// Names one grant that may be given back, so that it gives back nothing that has come back by
/// itself.
///
/// A limiter numbers its grants upwards, and passes the receipt to
/// [`hold`](super::Algorithm::hold), and later to [`release`](super::Algorithm::release) or
/// [`undo`](super::Algorithm::undo).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Receipt {
    /// The number of the grant: later grants have higher ones.
    pub seq: u64,
    /// When the permits were taken.
    pub at: Timestamp,
}

impl Receipt {
    /// The receipt of grant number `seq`, whose permits were taken at `at`.
    ///
    /// ```
    /// use tollgate::Timestamp;
    /// use tollgate::algorithm::Receipt;
    /// let receipt = Receipt::new(7, Timestamp::ZERO);
    /// assert_eq!(receipt.seq, 7);
    /// ```
    #[must_use]
    pub const fn new(seq: u64, at: Timestamp) -> Self {
        Self { seq, at }
    }
}

/// How many marks are kept.
const MARKS: usize = 4;

/// All grants up to number `upto` together can give back at most `units`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    upto: u64,
    units: u128,
    /// Units of the grants after the mark before this one that are neither released nor given back.
    open: u128,
}

/// The grants of one bucket that may be given back. A unit is the smallest part in which the bucket
/// counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holds {
    /// Grants before this one can give nothing back.
    first: u64,
    /// The newest grant.
    last: u64,
    /// Oldest first; the first `marked` are in use.
    marks: [Mark; MARKS],
    marked: usize,
    /// Units of the grants after the last mark that are neither released nor given back.
    unmarked: u128,
}

impl Holds {
    /// No grants yet; `seq` is the first.
    fn new(seq: u64) -> Self {
        Self { first: seq, last: seq, marks: Default::default(), marked: 0, unmarked: 0 }
    }

    /// Adds a grant to those of a bucket.
    #[inline]
    pub(crate) fn add(holds: &mut Option<Box<Self>>, seq: u64, units: u128) {
        let holds = holds.get_or_insert_with(|| Box::new(Self::new(seq)));
        if !holds.is_open() {
            (holds.first, holds.last) = (seq, seq);
        }
        holds.last = holds.last.max(seq);
        holds.unmarked = holds.unmarked.saturating_add(units);
    }

    /// Adds grants up to number `upto` that were made before the bucket was there.
    #[cfg(feature = "llm")]
    pub(crate) fn adopt(holds: &mut Option<Box<Self>>, upto: u64, units: u128) {
        Self::add(holds, upto, units);
        if let Some(holds) = holds {
            holds.first = 0;
        }
    }

    /// Refill has left `used` units in use.
    pub(crate) fn refilled(holds: &mut Option<Box<Self>>, used: u128) {
        if let Some(open) = holds.as_mut().filter(|open| open.is_open()) {
            if used == 0 {
                (open.marked, open.unmarked) = (0, 0);
            } else {
                open.fall_to(used);
            }
        }
    }

    /// Whether some grant may still be given back. Once there is none, the room is kept for the
    /// next one.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.unmarked > 0 || self.marked > 0
    }

    /// A grant is final: nothing of these units will be given back.
    #[inline]
    pub(crate) fn release(holds: &mut Option<Box<Self>>, seq: u64, units: u128) {
        if let Some(open) = holds.as_mut().filter(|open| open.is_open() && open.first <= seq) {
            open.close(seq, units);
        }
    }

    /// A grant is cancelled: says how many of these units it gives back.
    pub(crate) fn undo(holds: &mut Option<Box<Self>>, seq: u64, units: u128) -> u128 {
        let Some(open) = holds.as_mut().filter(|open| open.is_open() && open.first <= seq) else {
            return 0;
        };
        let given = match open.mark_of(seq) {
            None => units.min(open.unmarked),
            Some(at) => {
                let marks = &mut open.marks[at..open.marked];
                let given = marks.iter().map(|mark| mark.units).fold(units, u128::min);
                for mark in marks {
                    mark.units -= given;
                }
                given
            }
        };
        open.close(seq, units);
        given
    }

    /// The same grants in units of another size; `resize` must not round up.
    pub(crate) fn resized(mut self: Box<Self>, resize: impl Fn(u128) -> u128) -> Box<Self> {
        for mark in &mut self.marks {
            (mark.units, mark.open) = (resize(mark.units), resize(mark.open));
        }
        self.unmarked = resize(self.unmarked);
        self
    }

    /// The mark that bounds a grant, unless it came after all marks.
    fn mark_of(&self, seq: u64) -> Option<usize> {
        self.marks[..self.marked].iter().position(|mark| seq <= mark.upto)
    }

    /// So many units of a grant are no longer open. A mark without open grants is of no use.
    fn close(&mut self, seq: u64, units: u128) {
        let Some(at) = self.mark_of(seq) else {
            self.unmarked = self.unmarked.saturating_sub(units);
            return;
        };
        self.marks[at].open = self.marks[at].open.saturating_sub(units);
        if self.marks[at].open > 0 {
            return;
        }
        // It still bounds the grants before it.
        if at > 0 {
            self.marks[at - 1].units = self.marks[at - 1].units.min(self.marks[at].units);
        }
        if at + 1 < self.marked {
            self.marks.copy_within(at + 1..self.marked, at);
        }
        self.marked -= 1;
    }

    fn fall_to(&mut self, used: u128) {
        let marks = &self.marks[..self.marked];
        let open = marks.iter().fold(0_u128, |sum, mark| sum.saturating_add(mark.open));
        // The last mark bounds the grants up to it, all together.
        let marked = marks.last().map_or(0, |last| last.units.min(open));
        if marked.saturating_add(self.unmarked) <= used {
            return;
        }
        let mut mark = Mark { upto: self.last, units: used, open: self.unmarked };
        // Older marks that allow as much or more are implied by the new one.
        while self.marked > 0 && self.marks[self.marked - 1].units >= used {
            self.marked -= 1;
            mark.open = mark.open.saturating_add(self.marks[self.marked].open);
        }
        if self.marked == MARKS {
            // The two oldest marks become one: that of the later, with what the earlier allows.
            let [first, second, ..] = self.marks;
            let units = first.units.min(second.units);
            let open = first.open.saturating_add(second.open);
            self.marks.copy_within(1.., 0);
            self.marks[0] = Mark { upto: second.upto, units, open };
            self.marked -= 1;
        }
        self.marks[self.marked] = mark;
        self.marked += 1;
        self.unmarked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A grant of the exact account: its number, what it took, and what it may still give back.
    #[derive(Clone, Debug)]
    struct Grant {
        seq: u64,
        units: u128,
    }

    /// What the bucket would have in use if only the grants in `kept` had been made: replays the
    /// history.
    fn used_without(history: &[(u64, u128, u64)], cancelled: &[u64], now: u64) -> u128 {
        // (time, units, seq): a plain bucket that loses one unit each nanosecond.
        let (mut used, mut at) = (0_u128, 0_u64);
        for (time, units, seq) in history {
            used = used.saturating_sub((time - at).into());
            at = *time;
            if !cancelled.contains(seq) {
                used += units;
            }
        }
        used.saturating_sub((now - at).into())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Whatever is cancelled in whatever order, the level is never below that of a bucket for
        /// which the cancelled grants had never been made. And with no more marks than are kept, it
        /// is that level.
        #[test]
        fn gives_back_what_has_not_come_back(
            steps in prop::collection::vec((0_u8..6, 0_u64..12, 0_usize..8), 1..60),
        ) {
            let (mut used, mut now, mut next) = (0_u128, 0_u64, 0_u64);
            let mut holds: Option<Box<Holds>> = None;
            let mut open: Vec<Grant> = Vec::new();
            let (mut history, mut cancelled) = (Vec::new(), Vec::new());
            let mut merged = false;
            for (what, n, which) in steps {
                match what {
                    0 | 1 => {
                        now += n;
                        used = used.saturating_sub(n.into());
                    }
                    2 => {
                        next += 1;
                        history.push((now, u128::from(n), next));
                        Holds::refilled(&mut holds, used);
                        used += u128::from(n);
                    }
                    3 => {
                        next += 1;
                        history.push((now, u128::from(n), next));
                        Holds::refilled(&mut holds, used);
                        used += u128::from(n);
                        Holds::add(&mut holds, next, n.into());
                        open.push(Grant { seq: next, units: n.into() });
                    }
                    _ if !open.is_empty() => {
                        let grant = open.remove(which % open.len());
                        Holds::refilled(&mut holds, used);
                        if what == 4 {
                            used -= Holds::undo(&mut holds, grant.seq, grant.units);
                            cancelled.push(grant.seq);
                        } else {
                            Holds::release(&mut holds, grant.seq, grant.units);
                        }
                    }
                    _ => {}
                }
                let exact = used_without(&history, &cancelled, now);
                prop_assert!(used >= exact, "{used} in use, {exact} without what was cancelled");
                merged |= holds.as_ref().is_some_and(|holds| holds.marked == MARKS);
                prop_assert!(merged || used == exact, "{used} in use, and not {exact}");
            }
        }
    }

    #[test]
    fn at_one_instant_all_comes_back_in_any_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut holds = None;
            for seq in 0..3 {
                Holds::add(&mut holds, seq, 10);
            }
            let given: u128 = order.map(|seq| Holds::undo(&mut holds, seq, 10)).iter().sum();
            assert_eq!(given, 30);
            assert!(!holds.is_some_and(|holds: Box<Holds>| holds.is_open()));
        }
    }

    #[test]
    fn a_full_bucket_gets_nothing_back() {
        let mut holds = None;
        Holds::add(&mut holds, 0, 10);
        Holds::refilled(&mut holds, 0);
        Holds::add(&mut holds, 1, 10);
        assert_eq!(Holds::undo(&mut holds, 0, 10), 0, "it was before the bucket was full");
        assert_eq!(Holds::undo(&mut holds, 1, 10), 10);
    }
}
