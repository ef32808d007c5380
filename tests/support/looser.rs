//! Whether one reading of a server's limits is looser than another.

use std::fmt::Debug;
use std::time::Duration;

use tollgate::llm::{Bound, ServerLimit, ServerLimits};

/// Panics if `after` allows anything that `before` does not, or is inconsistent in itself.
pub(crate) fn assert_not_looser(before: &ServerLimits, after: &ServerLimits) {
    let pairs = limits(before).into_iter().zip(limits(after));
    for (before, after) in pairs {
        not_above(before.limit, after.limit);
        // Of no number nothing remains.
        if after.limit.is_none_or(|limit| limit.count().is_some()) {
            not_above(before.remaining, after.remaining);
            not_below(before.reset_after, after.reset_after);
        }
        not_below(before.period, after.period);
        let most = after.limit.and_then(Bound::count).unwrap_or(u64::MAX);
        assert!(after.remaining.is_none_or(|remaining| remaining <= most), "{after:?}");
    }
    // Milliseconds may refine the seconds.
    let wait = after.retry_after.map(|wait| wait + Duration::from_nanos(999_999_999));
    not_below(before.retry_after, wait);
}

fn limits(all: &ServerLimits) -> [ServerLimit; 7] {
    [
        all.requests,
        all.requests_per_day,
        all.tokens,
        all.tokens_per_day,
        all.input_tokens,
        all.output_tokens,
        all.project_tokens,
    ]
}

fn not_above<T: Copy + Ord + Debug>(before: Option<T>, after: Option<T>) {
    let kept = before.is_none() || after.is_some() && after <= before;
    assert!(kept, "{after:?} after {before:?}");
}

fn not_below<T: Copy + Ord + Debug>(before: Option<T>, after: Option<T>) {
    assert!(after >= before, "{after:?} after {before:?}");
}
