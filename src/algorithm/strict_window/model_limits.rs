//! What the limits of a model API need beyond the rule: grants that were made before a restart.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Entry, StrictState, StrictWindow};
use crate::Timestamp;

/// The period of the rule in ns may be longer than the time since the clock's origin, and so may be
/// the age of a grant: `before_origin` makes room for such ages.
impl StrictWindow {
    /// The grants that count at `now`, oldest first, each with its age. Grants that share an entry
    /// have the age of the last one.
    pub(crate) fn grants<'a>(
        &'a self,
        state: &'a StrictState,
        now: Timestamp,
    ) -> impl Iterator<Item = (Duration, u64)> + 'a {
        let time = state.time(now);
        let taken = self.alive(state, now).filter(|entry| entry.permits > 0);
        taken.map(move |entry| {
            (Duration::from_nanos(time.saturating_sub(entry.last)), entry.permits)
        })
    }

    /// Adds grants that were made earlier, each with its age, as far as they are not counted
    /// already: from then on, at no time less is in use than these grants have taken, and not less
    /// than without them. To add the same grants twice is the same as to add them once.
    pub(crate) fn raise_to(
        &self,
        state: &mut StrictState,
        now: Timestamp,
        mut grants: Vec<(Duration, u64)>,
    ) {
        self.expire(state, now);
        let period = Duration::from_nanos(self.period);
        grants.retain(|(age, permits)| *age < period && *permits > 0);
        grants.sort_unstable();
        let Some((oldest, _)) = grants.last() else { return };
        state.make_room(now, *oldest);
        let time = state.time(now);
        // Beginning with the newest grant: what was taken since then, by these grants and by those
        // that are counted already. Both are sorted.
        let (mut earlier, mut counted, mut raised) = (0_u128, 0_u128, VecDeque::new());
        let mut known = std::mem::take(&mut state.entries).into_iter().rev().peekable();
        for (age, permits) in grants {
            let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
            let last = time.saturating_sub(age);
            while let Some(entry) = known.next_if(|entry| entry.last >= last) {
                counted += u128::from(entry.permits);
                raised.push_front(entry);
            }
            earlier += u128::from(permits);
            let missing = u64::try_from(earlier.saturating_sub(counted)).unwrap_or(u64::MAX);
            if missing > 0 {
                counted += u128::from(missing);
                raised.push_front(Entry { opened: last, last, permits: missing });
            }
        }
        for entry in known {
            counted += u128::from(entry.permits);
            raised.push_front(entry);
        }
        (state.entries, state.total) = (raised, counted);
        self.merge(&mut state.entries);
        // Merged entries hold less than the sum if that does not fit.
        state.total = state.entries.iter().map(|entry| u128::from(entry.permits)).sum();
    }
}

impl StrictState {
    /// Makes room for a grant of this age.
    fn make_room(&mut self, now: Timestamp, age: Duration) {
        let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        let more = age.saturating_sub(self.time(now));
        self.before_origin = self.before_origin.saturating_add(more);
        for entry in &mut self.entries {
            entry.opened = entry.opened.saturating_add(more);
            entry.last = entry.last.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;
    use crate::algorithm::{Algorithm, Receipt};

    const SECOND: Duration = Duration::from_secs(1);

    fn per_minute(permits: u64) -> StrictWindow {
        StrictWindow::try_from(Quota::per_minute(permits)).unwrap_or_else(|it| panic!("{it}"))
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + SECOND * u32::try_from(secs).unwrap_or(u32::MAX)
    }

    #[test]
    fn grants_that_are_older_than_the_clock_expire_in_time() {
        let rule = per_minute(10);
        let mut state = rule.start(at(1), 0);
        rule.raise_to(
            &mut state,
            at(1),
            vec![(SECOND * 10, 3), (SECOND * 50, 7), (SECOND * 60, 9)],
        );
        assert_eq!((rule.used(&state, at(1)), rule.ready_at(&state, at(1), 1)), (10, at(11)));
        assert_eq!(rule.ready_at(&state, at(1), 8), at(51));
        // New grants don't prolong old ones, and can be given back.
        let receipt = Receipt { seq: 1, at: at(11) };
        rule.hold(&mut state, at(11), 7, receipt);
        assert_eq!(rule.used(&state, at(11)), 10);
        rule.undo(&mut state, at(12), 5, receipt);
        assert_eq!(rule.used(&state, at(12)), 5);
        assert_eq!((rule.used(&state, at(51)), rule.full_at(&state, at(51))), (2, at(71)));
    }

    #[test]
    fn what_is_counted_already_is_not_counted_twice() {
        let rule = per_minute(100);
        let mut state = rule.start(at(1), 0);
        rule.take(&mut state, at(1), 5);
        rule.take(&mut state, at(30), 1);
        let grants = vec![(SECOND * 10, 2), (SECOND * 50, 8)];
        for _ in 0..2 {
            rule.raise_to(&mut state, at(31), grants.clone());
            // Since 10 s ago: 2 instead of 1. Since 30 s ago: 7 instead of 6. Since 50 s ago: 10.
            let counted: Vec<_> = rule.grants(&state, at(31)).collect();
            let expected = [(50, 3), (30, 5), (10, 1), (1, 1)].map(|(age, n)| (SECOND * age, n));
            assert_eq!(counted, expected);
        }
    }

    #[test]
    fn any_number_of_grants_takes_bounded_room() {
        let rule = per_minute(100);
        let mut state = rule.start(at(1), 0);
        let grants = (0..100_000).map(|n| (Duration::from_millis(n), u64::MAX)).collect();
        rule.raise_to(&mut state, at(1), grants);
        assert!(rule.grants(&state, at(1)).count() <= 66);
        rule.take(&mut state, at(2), u64::MAX);
        assert_eq!(rule.ready_at(&state, at(2), 1), at(62));
        assert_eq!(rule.used(&state, at(62)), 0);
    }
}
