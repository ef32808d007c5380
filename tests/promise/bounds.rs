//! What each limiter may admit, by its definition.

use num_bigint::BigInt;
use num_rational::BigRational;
use tollgate::Quota;

/// What happened at a time on the limiter's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Permits were granted and used.
    Used(u64),
    /// The caller gave permits back on its own word.
    Credited(u64),
    /// The limiter was reset.
    Reset,
}

pub(crate) type Log = Vec<(u64, What)>;

pub(crate) fn rational(value: impl Into<BigInt>) -> BigRational {
    BigRational::from_integer(value.into())
}

/// Permits per nanosecond.
pub(crate) fn rate(quota: Quota) -> BigRational {
    BigRational::new(quota.permits().into(), quota.period().as_nanos().into())
}

/// For all windows that begin and end with a use: calls `check` with both times, what was used in
/// the window, and what credits and resets at any time in it allow on top.
fn windows(log: &Log, burst: u64, mut check: impl FnMut(u64, u64, BigRational, BigRational)) {
    let sum = |within: &[(u64, What)]| {
        let extra = within.iter().map(|(_, what)| match what {
            What::Credited(permits) => u128::from(*permits),
            What::Reset => burst.into(),
            What::Used(_) => 0,
        });
        extra.sum::<u128>()
    };
    for (i, (start, first)) in log.iter().enumerate() {
        if !matches!(first, What::Used(_)) {
            continue;
        }
        let from = log.partition_point(|(at, _)| at < start);
        let mut used = 0_u128;
        for (j, (end, what)) in log.iter().enumerate().skip(i) {
            let What::Used(permits) = what else { continue };
            used += u128::from(*permits);
            let to = log.partition_point(|(at, _)| at <= end).max(j);
            check(*start, *end, rational(used), rational(sum(&log[from..to])));
        }
    }
}

/// At most `burst + rate * w` in any window of length `w`.
pub(crate) fn bucket(quota: Quota, log: &Log) {
    let (burst, rate) = (quota.burst_size(), rate(quota));
    windows(log, burst, |start, end, used, extra| {
        let most = rational(burst) + &rate * rational(end - start) + &extra;
        assert!(used <= most, "{used} used from {start} to {end}, {extra} of it on top; {quota}");
    });
}

/// At most `burst`, and `permits` for each refill since, on a grid from `origin`.
pub(crate) fn interval(quota: Quota, origin: u64, log: &Log) {
    let period = u64::try_from(quota.period().as_nanos()).unwrap();
    windows(log, quota.burst_size(), |start, end, used, extra| {
        let refills = (end - origin) / period - (start - origin) / period;
        let most =
            rational(quota.burst_size()) + rational(quota.permits()) * rational(refills) + &extra;
        assert!(used <= most, "{used} used from {start} to {end}, {refills} refills; {quota}");
    });
}

/// At most `limit` in any half-open window of one period.
pub(crate) fn any_period(quota: Quota, limit: u64, log: &Log) {
    let period = u64::try_from(quota.period().as_nanos()).unwrap();
    windows(log, limit, |start, end, used, extra| {
        if end - start < period {
            assert!(used <= rational(limit) + &extra, "{used} used from {start} to {end}; {quota}");
        }
    });
}

/// What no two neighbouring windows of a sliding window may come to: the last one counts by the
/// share of it that still lies within a period. Checked at each use; for scripts without credit and
/// reset.
pub(crate) fn weighed(quota: Quota, origin: u64, log: &Log) {
    let period = u64::try_from(quota.period().as_nanos()).unwrap();
    for (i, (now, _)) in log.iter().enumerate() {
        let window = (now - origin) / period;
        let sum_of = |wanted: u64| -> BigRational {
            let uses = log[..=i].iter().filter(|(at, _)| (at - origin) / period == wanted);
            uses.map(|(_, what)| match what {
                What::Used(permits) => rational(*permits),
                _ => rational(0),
            })
            .sum()
        };
        let into = rational((now - origin) % period);
        let weight = (rational(period) - into) / rational(period);
        let last = if window == 0 { rational(0) } else { sum_of(window - 1) };
        let counted = sum_of(window) + last * weight;
        assert!(counted <= rational(quota.permits()), "{counted} count at {now}; {quota}");
    }
}
