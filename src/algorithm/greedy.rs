//! Token bucket with greedy refill: permits flow in evenly.
//!
//! The level is kept exactly, as a time: `full_at` is when the bucket will be full again if nothing
//! more is taken (the "theoretical arrival time" of GCRA, ITU-T I.371). The unit of that time is
//! `1 / speed` ns, where `permits / period = speed / cost` in lowest terms: in it a nanosecond is
//! `speed` long, a permit costs `cost`, and nothing is ever rounded. Taking permits moves `full_at`
//! away, time catches up with it, and the bucket is empty when it is `capacity = burst * cost`
//! away.

use super::{Algorithm, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A token bucket into which permits flow evenly, kept exactly: no drift, ever.
///
/// In any window of length `w` it admits at most `burst + rate * w`. The state is 16 bytes.
///
/// ```
/// use std::time::Duration;
/// use tollgate::algorithm::{Algorithm, GreedyRefill};
/// use tollgate::{Quota, Timestamp};
///
/// // 7 permits in 3 s: the first one after an empty bucket comes after 3/7 s, rounded up.
/// let rule = GreedyRefill::try_from(Quota::per(7, Duration::from_secs(3)))?;
/// let empty = rule.start(Timestamp::ZERO, 7);
/// assert_eq!(rule.ready_at(&empty, Timestamp::ZERO, 1).as_nanos(), 428_571_429);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GreedyRefill {
    quota: Quota,
    /// Units per nanosecond.
    speed: u64,
    /// Units per permit; 0 if unlimited.
    cost: u64,
    /// Units of a full bucket.
    capacity: u128,
}

/// An exact level: `units / units_per_permit` permits in use.
///
/// ```
/// use tollgate::algorithm::{Algorithm, GreedyRefill};
/// use tollgate::{Quota, Timestamp};
///
/// let rule = GreedyRefill::try_from(Quota::per_second(10))?;
/// let state = rule.start(Timestamp::ZERO, 1);
/// let level = rule.level(&state, Timestamp::from_nanos(25_000_000));
/// assert_eq!(level.used_units * 4, u128::from(level.units_per_permit) * 3); // 3/4 of a permit
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Level {
    /// Units in use; more than a burst's worth is debt.
    pub used_units: u128,
    /// Units of one permit; 0 if unlimited.
    pub units_per_permit: u64,
}

/// A capacity as a factor, because division is slow.
#[cfg(feature = "llm")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// Bits of a unit that don't matter.
    shift: u32,
    /// Without them.
    capacity: u64,
    /// The share of the capacity that one is, in 2^63 parts.
    parts_per_unit: u64,
}

impl GreedyRefill {
    /// The exact level, fractions included. See [`Level`] for an example.
    #[must_use]
    pub fn level(&self, state: &<Self as Algorithm>::State, now: Timestamp) -> Level {
        Level { used_units: state.saturating_sub(self.at(now)), units_per_permit: self.cost }
    }

    /// [`try_take`](Algorithm::try_take) in 64 bits, `elapsed` nanoseconds after an epoch that the state
    /// is relative to: the state after that, or `None` if the permits are not there, or it can't be
    /// told in 64 bits.
    #[inline]
    pub(super) fn try_take_since(&self, state: u64, elapsed: u64, permits: u64) -> Option<u64> {
        let at = elapsed.checked_mul(self.speed)?;
        let used = state.saturating_sub(at).checked_add(permits.checked_mul(self.cost)?)?;
        if u128::from(used) <= self.capacity { at.checked_add(used) } else { None }
    }

    /// What [`share_used`](Self::share_used) needs, worked out beforehand.
    #[cfg(feature = "llm")]
    pub(crate) fn scale(&self) -> Scale {
        // The highest 31 bits are plenty.
        let shift = (u128::BITS - self.capacity.leading_zeros()).saturating_sub(31);
        let capacity = u64::try_from(self.capacity >> shift).unwrap_or(u64::MAX).max(1);
        Scale { shift, capacity, parts_per_unit: (1 << 63) / capacity }
    }

    /// How much of the capacity is used, in 65,536 parts; debt is as much as all of it.
    #[cfg(feature = "llm")]
    #[inline]
    pub(crate) fn share_used(&self, scale: Scale, state: &u128, now: Timestamp) -> u64 {
        let used = state.saturating_sub(self.at(now)) >> scale.shift;
        let used = u64::try_from(used).map_or(scale.capacity, |used| used.min(scale.capacity));
        (used * scale.parts_per_unit) >> (63 - 16)
    }

    /// Units per nanosecond.
    pub(crate) fn speed(&self) -> u64 {
        self.speed
    }

    /// Units per permit.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// `now` in units.
    #[inline]
    pub(super) fn at(&self, now: Timestamp) -> u128 {
        u128::from(now.as_nanos()) * u128::from(self.speed)
    }

    #[inline]
    fn cost_of(&self, permits: u64) -> u128 {
        u128::from(permits) * u128::from(self.cost)
    }

    /// The first nanosecond not before `units`.
    fn nanos_ceil(&self, units: u128) -> Timestamp {
        // Most values fit the machine's own division.
        if let Ok(units) = u64::try_from(units) {
            return Timestamp::from_nanos(units.div_ceil(self.speed));
        }
        Timestamp::from_wide(units.div_ceil(self.speed.into()))
    }
}

impl TryFrom<Quota> for GreedyRefill {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        let period = quota.period_nanos()?;
        if quota.is_unlimited() {
            return Ok(Self { quota, speed: 1, cost: 0, capacity: 0 });
        }
        let divisor = arith::gcd(quota.permits(), period);
        let (speed, cost) = (quota.permits() / divisor, period / divisor);
        Ok(Self { quota, speed, cost, capacity: u128::from(quota.burst_size()) * u128::from(cost) })
    }
}

impl Algorithm for GreedyRefill {
    type State = u128;
    type Packed = u64;

    const CUMULATIVE: bool = true;

    fn quota(&self) -> Quota {
        self.quota
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        quota.try_into()
    }

    #[inline]
    fn limit(&self) -> u64 {
        self.quota.burst_size()
    }

    fn start(&self, now: Timestamp, used: u128) -> u128 {
        self.at(now).saturating_add(used.saturating_mul(self.cost.into()))
    }

    #[inline]
    fn ready_at(&self, state: &u128, now: Timestamp, permits: u64) -> Timestamp {
        let at = self.at(now);
        // Beyond 2^128 units there is no telling: never.
        let Some(after) = (*state).max(at).checked_add(self.cost_of(permits)) else {
            return Timestamp::MAX;
        };
        if after - at <= self.capacity { now } else { self.nanos_ceil(after - self.capacity) }
    }

    #[inline]
    fn take(&self, state: &mut u128, now: Timestamp, permits: u64) {
        *state = (*state).max(self.at(now)).saturating_add(self.cost_of(permits));
    }

    #[inline]
    fn give_back(&self, state: &mut u128, _now: Timestamp, permits: u64) {
        // Before `now` is as good as full: there is no way to go beyond.
        *state = state.saturating_sub(self.cost_of(permits));
    }

    fn used(&self, state: &u128, now: Timestamp) -> u128 {
        let used = state.saturating_sub(self.at(now));
        match u64::try_from(used) {
            _ if self.cost == 0 => 0,
            Ok(used) => used.div_ceil(self.cost).into(),
            Err(_) => used.div_ceil(self.cost.into()),
        }
    }

    fn full_at(&self, state: &u128, now: Timestamp) -> Timestamp {
        if *state <= self.at(now) { now } else { self.nanos_ceil(*state) }
    }

    fn carry_over(&self, previous: &Self, state: &u128, now: Timestamp, how: CarryOver) -> u128 {
        let used = previous.level(state, now).used_units;
        let used = match how {
            // The same share of the capacity: no way through permits, nothing to round twice.
            CarryOver::Proportional if previous.capacity > 0 => {
                arith::mul_div_ceil(used, self.capacity, previous.capacity)
            }
            // Out of "unlimited", where nothing is ever used.
            CarryOver::Proportional => 0,
            _ => {
                let used = match previous.cost {
                    0 => 0,
                    cost => arith::mul_div_ceil(used, self.cost.into(), cost.into()),
                };
                let old = u128::from(previous.limit()).saturating_mul(self.cost.into());
                arith::carry_over(used, old, self.capacity, how)
            }
        };
        self.at(now).saturating_add(used)
    }
}
