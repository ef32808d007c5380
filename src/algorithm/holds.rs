//! How much the grants that can be cancelled may still give back.
//!
//! Permits that refill has already brought back must not be given back a second time. Let `used` be
//! the units of a bucket that are in use, and `returnable` the units that cancelled grants may give
//! back together. A grant adds to both. Refill lowers `used`. Once `used` is below `returnable`,
//! some of the returnable units have already been refilled, and `returnable` falls with `used`.
//! That is exact: a bucket in which the cancelled grants had never been made would have been full
//! from then on.
//!
//! *Marks* say which grants have lost how much. A mark says: all grants up to this one can together
//! give back at most so many units. Only a few marks are kept. When there are more, two are merged
//! into a stricter one, so that less is given back, never more.

use crate::Timestamp;

/// Names a grant that may be cancelled, so that it gives back nothing that has already been
/// refilled.
///
/// A limiter numbers its grants in ascending order. It passes the receipt to
/// [`hold`](super::Algorithm::hold), and later to [`release`](super::Algorithm::release) or
/// [`undo`](super::Algorithm::undo).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Receipt {
    /// The number of the grant. Later grants have higher numbers.
    pub seq: u64,
    /// The time at which the permits were taken.
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

/// The number of marks that are kept.
const MARKS: usize = 4;

/// All grants up to number `upto` together can give back at most `units`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    upto: u64,
    units: u128,
    /// Units that are neither released nor given back, of the grants after the previous mark and up
    /// to this one.
    open: u128,
}

/// The grants of one bucket that may be cancelled. A unit is the smallest amount that the bucket
/// counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holds {
    /// The number of the first grant that can give something back.
    first: u64,
    /// The number of the newest grant.
    last: u64,
    /// The marks, oldest first; the first `marked` are in use.
    marks: [Mark; MARKS],
    marked: usize,
    /// Units that are neither released nor given back, of the grants after the last mark.
    unmarked: u128,
}

impl Holds {
    /// No grants yet. The first grant will have the number `seq`.
    fn new(seq: u64) -> Self {
        Self { first: seq, last: seq, marks: Default::default(), marked: 0, unmarked: 0 }
    }

    /// Adds a grant of `units`.
    #[inline]
    pub(crate) fn add(holds: &mut Option<Box<Self>>, seq: u64, units: u128) {
        let holds = holds.get_or_insert_with(|| Box::new(Self::new(seq)));
        if !holds.is_open() {
            (holds.first, holds.last) = (seq, seq);
        }
        holds.last = holds.last.max(seq);
        holds.unmarked = holds.unmarked.saturating_add(units);
    }

    /// Adds grants up to number `upto` that were made before the bucket existed.
    #[cfg(feature = "llm")]
    pub(crate) fn adopt(holds: &mut Option<Box<Self>>, upto: u64, units: u128) {
        Self::add(holds, upto, units);
        if let Some(holds) = holds {
            holds.first = 0;
        }
    }

    /// Records that refill has left `used` units in use.
    pub(crate) fn refilled(holds: &mut Option<Box<Self>>, used: u128) {
        if let Some(open) = holds.as_mut().filter(|open| open.is_open()) {
            if used == 0 {
                (open.marked, open.unmarked) = (0, 0);
            } else {
                open.fall_to(used);
            }
        }
    }

    /// Whether some grant may still be cancelled. The allocation is kept for later grants.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.unmarked > 0 || self.marked > 0
    }

    /// Makes `units` of a grant final: they will not be given back.
    #[inline]
    pub(crate) fn release(holds: &mut Option<Box<Self>>, seq: u64, units: u128) {
        if let Some(open) = holds.as_mut().filter(|open| open.is_open() && open.first <= seq) {
            open.close(seq, units);
        }
    }

    /// Cancels `units` of a grant. Returns how many of them are given back.
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

    /// Converts all amounts to units of another size. `resize` must not round up.
    pub(crate) fn resized(mut self: Box<Self>, resize: impl Fn(u128) -> u128) -> Box<Self> {
        for mark in &mut self.marks {
            (mark.units, mark.open) = (resize(mark.units), resize(mark.open));
        }
        self.unmarked = resize(self.unmarked);
        self
    }

    /// The index of the mark that bounds the grant; `None` if the grant came after all marks.
    fn mark_of(&self, seq: u64) -> Option<usize> {
        self.marks[..self.marked].iter().position(|mark| seq <= mark.upto)
    }

    /// Records that `units` of a grant are no longer open. Removes the mark if no grant under it is
    /// open.
    fn close(&mut self, seq: u64, units: u128) {
        let Some(at) = self.mark_of(seq) else {
            self.unmarked = self.unmarked.saturating_sub(units);
            return;
        };
        self.marks[at].open = self.marks[at].open.saturating_sub(units);
        if self.marks[at].open > 0 {
            return;
        }
        // The removed mark still bounds the grants under the marks before it.
        if at > 0 {
            self.marks[at - 1].units = self.marks[at - 1].units.min(self.marks[at].units);
        }
        if at + 1 < self.marked {
            self.marks.copy_within(at + 1..self.marked, at);
        }
        self.marked -= 1;
    }

    /// Lowers the units that can be given back to `used`, by a new mark if necessary.
    fn fall_to(&mut self, used: u128) {
        let marks = &self.marks[..self.marked];
        let open = marks.iter().fold(0_u128, |sum, mark| sum.saturating_add(mark.open));
        // The last mark bounds the sum of all grants up to it.
        let marked = marks.last().map_or(0, |last| last.units.min(open));
        if marked.saturating_add(self.unmarked) <= used {
            return;
        }
        let mut mark = Mark { upto: self.last, units: used, open: self.unmarked };
        // The new mark makes older marks that allow as much or more unnecessary.
        while self.marked > 0 && self.marks[self.marked - 1].units >= used {
            self.marked -= 1;
            mark.open = mark.open.saturating_add(self.marks[self.marked].open);
        }
        if self.marked == MARKS {
            // Merge the two oldest marks: the later position, and the smaller allowance.
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

    /// An open grant of the model: its number, and the units that it took.
    #[derive(Clone, Debug)]
    struct Grant {
        seq: u64,
        units: u128,
    }

    /// The units in use if the cancelled grants had never been made. Replays the history, whose
    /// entries are (time, units, number), on a plain bucket that refills one unit per nanosecond.
    fn used_without(history: &[(u64, u128, u64)], cancelled: &[u64], now: u64) -> u128 {
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

        /// Whichever grants are cancelled in whichever order, the units in use are never fewer than
        /// in a bucket in which the cancelled grants had never been made. While all marks can be
        /// kept, the two are equal.
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
        let given = Holds::undo(&mut holds, 0, 10);
        assert_eq!(given, 0, "the grant was made before the bucket was full");
        assert_eq!(Holds::undo(&mut holds, 1, 10), 10);
    }
}
