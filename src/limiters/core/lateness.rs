//! Waiters that are noticed late.

use std::time::Duration;

use super::Rule;

/// How waiters are served that are noticed late, because a timer was late or the whole process was
/// held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    /// A waiter that is overdue for less than this is served as of its due time.
    pub(super) bearable: Duration,
    /// A waiter that is overdue for longer is served as of this long ago.
    pub(super) made_up: Duration,
}

impl Lateness {
    /// A timer may be late by this much without a loss of rate.
    pub(super) const TIMERS: Duration = Duration::from_millis(10);
    /// The rounding error of a comparison with [`bearable`](Self::bearable), because times are
    /// whole nanoseconds.
    pub(super) const ROUNDED: Duration = Duration::from_nanos(2);

    /// At one instant, waiters get at most the burst, or as many permits as are refilled within
    /// `catch_up` (10 ms by default), whichever is more.
    pub(super) fn of<A: Rule>(rule: &A, catch_up: Option<Duration>) -> Self {
        let quota = rule.quota();
        if !rule.catches_up() || quota.permits() == 0 {
            return Self { bearable: Duration::ZERO, made_up: Duration::ZERO };
        }
        let fill = u128::from(quota.burst_size()).saturating_mul(quota.period().as_nanos());
        let fill = fill.div_ceil(quota.permits().into());
        let fill = Duration::from_nanos(u64::try_from(fill).unwrap_or(u64::MAX));
        let bearable = catch_up.unwrap_or(Self::TIMERS.max(fill));
        Self { bearable, made_up: bearable.saturating_sub(fill) }
    }
}
