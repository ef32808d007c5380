//! Whether one reading of a server's limits is looser than another.

use std::fmt::Debug;
use std::time::Duration;

use tollgate::llm::{Bound, ServerLimit, ServerLimits};

/// Panics if `after` allows anything that `before` does not, or is inconsistent in itself.
///
/// What was said of one limit may be said of two limits later: `50, 100;w=60` is not the limit of
/// 100 that `100, 100;w=60` is. So it is all limits on the same thing together that must not be
/// looser.
pub(crate) fn assert_not_looser(before: &ServerLimits, after: &ServerLimits) {
    for old in before.iter() {
        let all: Vec<_> = after.iter().filter(|new| new.counted == old.counted).collect();
        // A server without a number lifts no limit that is known.
        let is_unlimited = |it: &&ServerLimit| it.limit == Some(Bound::Unlimited);
        if let Some(Bound::Of(limit)) = old.limit {
            let kept = |new: &&ServerLimit| {
                new.limit.and_then(Bound::count).is_some_and(|now| now <= limit)
                    && new.period >= old.period
            };
            assert!(all.iter().copied().any(|new| kept(&new)), "{old:?} became {all:?}");
            // No more remains than the limit: what remains of a whole limit says no more than the
            // limit does. (`r=1` of a limit of 0 is read as 0, until it belongs to another limit.)
            if old.remaining == Some(limit) {
                continue;
            }
        }
        // What remains, and until when, belong together.
        let kept = |new: &&ServerLimit| {
            old.remaining.is_none_or(|old| new.remaining.is_some_and(|new| new <= old))
                && new.reset_after >= old.reset_after
        };
        let any = all.iter().copied().any(|new| kept(&new) || is_unlimited(&new));
        assert!(any, "{old:?} became {all:?}");
    }
    for limit in after.iter() {
        let most = limit.limit.and_then(Bound::count).unwrap_or(u64::MAX);
        assert!(limit.remaining.is_none_or(|remaining| remaining <= most), "{limit:?}");
        let same = |it: &&ServerLimit| (it.counted, it.period) == (limit.counted, limit.period);
        assert_eq!(after.iter().filter(same).count(), 1, "{after:?}");
    }
    // Milliseconds may refine the seconds.
    let wait = after.retry_after.map(|wait| wait + Duration::from_nanos(999_999_999));
    not_below(before.retry_after, wait);
    not_below(before.closed_for, after.closed_for);
}

/// Whether a header says what a policy of the IETF drafts counts. What was taken for requests
/// before may be bytes then, so this is not a repetition.
pub(crate) fn says_a_unit(value: &[u8]) -> bool {
    let contains = |word: &[u8]| value.windows(word.len()).any(|part| part == word);
    contains(b"qu") || contains(b"token") || contains(b"tpm")
}

fn not_below<T: Copy + Ord + Debug>(before: Option<T>, after: Option<T>) {
    assert!(after >= before, "{after:?} after {before:?}");
}
