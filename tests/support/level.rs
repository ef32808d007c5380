//! How many permits there are, in exact rationals: a tap, a bucket, and no queue.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{ToPrimitive, Zero};
use std::time::Duration;

use tollgate::{CarryOver, Quota};

/// The end of time: "never".
pub(crate) const NEVER: u64 = u64::MAX;

/// The level of a bucket at a time.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) quota: Quota,
    /// Permits there are at `at`; negative is debt.
    permits: BigRational,
    at: u64,
}

fn whole(permits: u64) -> BigRational {
    BigRational::from_integer(BigInt::from(permits))
}

fn saturate(value: &BigRational) -> u64 {
    value.to_integer().to_u64().unwrap_or(u64::MAX)
}

/// Permits per nanosecond.
fn rate(quota: Quota) -> BigRational {
    BigRational::new(quota.permits().into(), quota.period().as_nanos().into())
}

impl Level {
    /// A full bucket.
    pub(crate) fn full(quota: Quota, at: u64) -> Self {
        Self { quota, permits: whole(quota.burst_size()), at }
    }

    pub(crate) fn burst(&self) -> u64 {
        self.quota.burst_size()
    }

    /// The first nanosecond with `permits` there.
    pub(crate) fn ready(&self, permits: u64) -> u64 {
        let missing = whole(permits) - &self.permits;
        if self.quota.is_unlimited() || missing <= BigRational::zero() {
            return self.at;
        }
        let nanos = (missing / rate(self.quota)).ceil().to_integer();
        (nanos + BigInt::from(self.at)).to_u64().unwrap_or(NEVER)
    }

    /// Lets time pass.
    pub(crate) fn flow(&mut self, until: u64) {
        if until > self.at {
            let inflow = rate(self.quota) * whole(until - self.at);
            self.permits = (&self.permits + inflow).min(whole(self.burst()));
            self.at = until;
        }
    }

    /// Takes permits, there or not.
    pub(crate) fn take(&mut self, permits: u64) {
        if !self.quota.is_unlimited() {
            self.permits -= whole(permits);
        }
    }

    /// Gives permits back, up to the burst.
    pub(crate) fn put(&mut self, permits: u64) {
        self.permits = (&self.permits + whole(permits)).min(whole(self.burst()));
    }

    pub(crate) fn fill(&mut self) {
        self.permits = whole(self.burst());
    }

    /// Whole permits there are.
    pub(crate) fn remaining(&self) -> u64 {
        saturate(&self.permits.floor().max(BigRational::zero()))
    }

    /// Permits in use, parts rounded up.
    pub(crate) fn used(&self) -> u64 {
        saturate(&(whole(self.burst()) - &self.permits).ceil())
    }

    /// The time until it is full, or the end of time.
    pub(crate) fn reset_after(&self) -> Duration {
        let missing = whole(self.burst()) - &self.permits;
        let nanos = if self.quota.is_unlimited() {
            0
        } else {
            saturate(&(missing / rate(self.quota)).ceil())
        };
        Duration::from_nanos(nanos.min(NEVER - self.at))
    }

    pub(crate) fn set_quota(&mut self, quota: Quota, how: CarryOver) {
        let (old, new) = (whole(self.burst()), whole(quota.burst_size()));
        let used = &old - &self.permits;
        let used = match how {
            CarryOver::Proportional => used * &new / old,
            CarryOver::Keep => used + &new - old,
            CarryOver::AddDifference if new < old => used + &new - old,
            CarryOver::AddDifference => used,
            _ => BigRational::zero(),
        };
        // A level is a multiple of what the smallest step of the new rate is made of.
        let grain = BigRational::from_integer(rate(quota).denom().clone());
        let used = (used.max(BigRational::zero()) * &grain).ceil() / grain;
        self.permits = if quota.is_unlimited() { new } else { new - used };
        self.quota = quota;
    }
}
