//! Sizes relative to the quota of the moment, so that scripts of plain numbers hit the borders.

use std::time::Duration;

use tollgate::Quota;

use super::model::NEVER;

/// The clock's last time, 146 years: with the fastest rates, the crate counts no further.
pub(crate) const LAST: u64 = NEVER >> 2;

/// Quotas around all the edges: non-dividing, tiny, huge, unlimited.
pub(crate) fn quota_of(kind: u8, a: u64, b: u64) -> Quota {
    let nanos = Duration::from_nanos;
    match kind % 10 {
        0 => Quota::per_second(a % 100 + 1),
        1 => Quota::per(a % 50 + 1, Duration::from_secs(b % 30 + 1)),
        2 => Quota::per(a % 1_000 + 1, nanos(b % 100_000 + 1)),
        3 => Quota::per(7, Duration::from_secs(3)).burst(a % 20 + 1),
        4 => Quota::per_day(a % 5 + 1).burst(b % 9 + 1),
        5 => Quota::per((a >> 2).max(1), nanos((b >> 2).max(1))).burst(((a ^ b) >> 2).max(1)),
        6 => Quota::per(1, nanos(u64::MAX)).burst(a % 3 + 1),
        7 => Quota::per(u64::MAX >> 2, nanos(1)).burst(a.max(1)),
        8 => Quota::per(999_999_937, Duration::from_secs(1)).burst(b % 1_000 + 1),
        _ if a % 8 == 0 => Quota::unlimited(),
        _ => Quota::per_minute(a % 600 + 1).burst(b % 1_000 + 1),
    }
}

/// Quotas of everyday size and rate.
pub(crate) fn usual_quota_of(kind: u8, a: u64, b: u64) -> Quota {
    quota_of(kind % 5, a, b)
}

/// A number of permits: 0, few, up to the burst, the burst, or more.
pub(crate) fn permits_of(burst: u64, size: u64) -> u64 {
    let x = size >> 3;
    match size % 8 {
        0 => x % 2,
        1..=3 => 1 + x % 4,
        4 => burst,
        5 => burst.saturating_add(1),
        _ => x % burst.saturating_add(1).max(2),
    }
}

/// A time to let pass: around the next event, around a permit, a period, or for ever.
pub(crate) fn span_of(quota: Quota, next: u64, size: u64) -> u64 {
    let x = size >> 3;
    let period = quota.period().as_nanos().try_into().unwrap_or(NEVER);
    match size % 8 {
        0 => x % 3,
        1 => next,
        2 => next.saturating_sub(1),
        3 => next.saturating_add(1),
        4 => period,
        5 => x % next.saturating_mul(3).max(1),
        6 => x % 64,
        _ if x % 16 == 0 => x,
        _ => x % period.saturating_mul(3),
    }
}
