//! Token bucket with greedy refill: permits flow in evenly.
//!
//! The level is kept exactly, as a time: `full_at` is when the bucket will be full again if nothing
//! more is taken (the "theoretical arrival time" of GCRA, ITU-T I.371). The unit of that time is
//! `1 / speed` ns, where `permits / period = speed / cost` in lowest terms: in it a nanosecond is
//! `speed` long, a permit costs `cost`, and nothing is ever rounded. Taking permits moves `full_at`
//! away, time catches up with it, and the bucket is empty when it is `capacity = burst * cost`
//! away.

use super::holds::Holds;
use super::{Algorithm, Receipt, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A token bucket into which permits flow evenly, kept exactly: no drift, ever.
///
/// **The promise.** In any window of length `w`, on the clock of the limiter, the permits of grants that are not
/// cancelled are at most `burst + rate * w`, plus what [`credit`](crate::RateLimiter::credit) gave in that window, plus
/// one burst for each [`reset`](crate::RateLimiter::reset) in it. A cancelled grant gives back at most what has not
/// been refilled since it was made. Who waits and is served late counts as of the time when it was due, within
/// the bounds of [`LimiterBuilder::catch_up`](crate::LimiterBuilder::catch_up). A new quota starts with the level that
/// [`CarryOver`] says. A clock that steps back stands still until it has caught up.
///
/// The state is 24 bytes.
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

/// What a [`GreedyRefill`] remembers: when the bucket will be full, and which grants may still be given back.
///
/// A copy knows nothing of those grants: receipts are good for the original alone.
#[derive(Debug, Default)]
pub struct GreedyState {
    /// The two halves of a `u128`, which would be aligned to 16 bytes.
    full_at: [u64; 2],
    holds: Option<Box<Holds>>,
}

impl GreedyState {
    /// A bucket that is full at `units`, of which nothing may be given back.
    #[inline]
    pub(crate) fn new(units: u128) -> Self {
        let mut state = Self { full_at: [0; 2], holds: None };
        state.set(units);
        state
    }

    /// When the bucket will be full, in units.
    #[inline]
    pub(crate) fn full_at(&self) -> u128 {
        u128::from(self.full_at[1]) << 64 | u128::from(self.full_at[0])
    }

    /// Whether some grant may still be given back.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.holds.as_ref().is_some_and(|holds| holds.is_open())
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each half of a u128 has 64 bits")]
    fn set(&mut self, units: u128) {
        self.full_at = [units as u64, (units >> 64) as u64];
    }
}

impl Clone for GreedyState {
    fn clone(&self) -> Self {
        Self { full_at: self.full_at, holds: None }
    }
}

impl PartialEq for GreedyState {
    fn eq(&self, other: &Self) -> bool {
        self.full_at == other.full_at
    }
}

impl Eq for GreedyState {}

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
        Level { used_units: self.used_units(state, now), units_per_permit: self.cost }
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

    /// Takes what grants up to number `upto` took that were made before there was this limit; they may be given back.
    #[cfg(feature = "llm")]
    pub(crate) fn adopt(&self, state: &mut GreedyState, now: Timestamp, permits: u64, upto: u64) {
        self.take(state, now, permits);
        Holds::adopt(&mut state.holds, upto, self.cost_of(permits));
    }

    /// As [`undo`](Algorithm::undo); says how many whole permits were given back.
    #[cfg(feature = "llm")]
    pub(crate) fn undo_counted(
        &self,
        state: &mut GreedyState,
        now: Timestamp,
        permits: u64,
        receipt: Receipt,
    ) -> u64 {
        let before = state.full_at();
        self.undo(state, now, permits, receipt);
        let given = (before - state.full_at()).checked_div(self.cost.into()).unwrap_or(0);
        u64::try_from(given).unwrap_or(permits).min(permits)
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
    pub(crate) fn share_used(&self, scale: Scale, state: &GreedyState, now: Timestamp) -> u64 {
        let used = self.used_units(state, now) >> scale.shift;
        let used = u64::try_from(used).map_or(scale.capacity, |used| used.min(scale.capacity));
        (used * scale.parts_per_unit) >> (63 - 16)
    }

    /// The same rule with permits that cost `cost` units, which must not be fewer than before: a little slower.
    pub(crate) fn with_cost(self, cost: u64) -> Self {
        let capacity = u128::from(self.quota.burst_size()) * u128::from(cost);
        Self { cost, capacity, ..self }
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
    fn used_units(&self, state: &GreedyState, now: Timestamp) -> u128 {
        state.full_at().saturating_sub(self.at(now))
    }

    /// Tells those who may give something back what refill has left in use.
    #[cold]
    fn see_refill(&self, state: &mut GreedyState, now: Timestamp) {
        let used = self.used_units(state, now);
        Holds::refilled(&mut state.holds, used);
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
        let capacity = u128::from(quota.burst_size()) * u128::from(cost);
        // An empty bucket at the end of time must fit: then what does not fit lies beyond the end of time.
        let end_of_time = u128::from(speed) * u128::from(u64::MAX);
        if end_of_time.checked_add(capacity).is_none() {
            return Err(QuotaError::TooLarge);
        }
        Ok(Self { quota, speed, cost, capacity })
    }
}

impl Algorithm for GreedyRefill {
    type State = GreedyState;
    type Packed = u64;

    fn is_cumulative(&self) -> bool {
        true
    }

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

    fn start(&self, now: Timestamp, used: u128) -> GreedyState {
        GreedyState::new(self.at(now).saturating_add(used.saturating_mul(self.cost.into())))
    }

    #[inline]
    fn ready_at(&self, state: &GreedyState, now: Timestamp, permits: u64) -> Timestamp {
        let at = self.at(now);
        // Beyond 2^128 units there is no telling: never.
        let Some(after) = state.full_at().max(at).checked_add(self.cost_of(permits)) else {
            return Timestamp::MAX;
        };
        if after - at <= self.capacity { now } else { self.nanos_ceil(after - self.capacity) }
    }

    /// As by [`ready_at`](Self::ready_at) and [`take`](Self::take), which for all permits that are there already comes
    /// down to one comparison.
    #[inline]
    fn try_take(&self, state: &mut GreedyState, now: Timestamp, permits: u64) -> bool {
        let at = self.at(now);
        match state.full_at().max(at).checked_add(self.cost_of(permits)) {
            Some(after) if after - at <= self.capacity && permits <= self.limit() => {
                if state.is_held() {
                    self.see_refill(state, now);
                }
                state.set(after);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn take(&self, state: &mut GreedyState, now: Timestamp, permits: u64) {
        if state.is_held() {
            self.see_refill(state, now);
        }
        let full_at = state.full_at().max(self.at(now)).saturating_add(self.cost_of(permits));
        state.set(full_at);
    }

    #[inline]
    fn hold(&self, state: &mut GreedyState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.take(state, now, permits);
        let units = self.cost_of(permits);
        if units > 0 {
            Holds::add(&mut state.holds, receipt.seq, units);
        }
    }

    #[inline]
    fn release(&self, state: &mut GreedyState, permits: u64, receipt: Receipt) {
        Holds::release(&mut state.holds, receipt.seq, self.cost_of(permits));
    }

    fn undo(&self, state: &mut GreedyState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.see_refill(state, now);
        let units = self.cost_of(permits);
        let given = Holds::undo(&mut state.holds, receipt.seq, units);
        state.set(state.full_at().saturating_sub(given));
    }

    fn give_back(&self, state: &mut GreedyState, now: Timestamp, permits: u64) {
        if state.is_held() {
            self.see_refill(state, now);
        }
        // Before `now` is as good as full: there is no way to go beyond.
        state.set(state.full_at().saturating_sub(self.cost_of(permits)));
        if state.is_held() {
            self.see_refill(state, now);
        }
    }

    fn used(&self, state: &GreedyState, now: Timestamp) -> u128 {
        let used = self.used_units(state, now);
        match u64::try_from(used) {
            _ if self.cost == 0 => 0,
            Ok(used) => used.div_ceil(self.cost).into(),
            Err(_) => used.div_ceil(self.cost.into()),
        }
    }

    fn full_at(&self, state: &GreedyState, now: Timestamp) -> Timestamp {
        let full_at = state.full_at();
        if full_at <= self.at(now) { now } else { self.nanos_ceil(full_at) }
    }

    fn carry_over(
        &self,
        previous: &Self,
        state: &GreedyState,
        now: Timestamp,
        how: CarryOver,
    ) -> GreedyState {
        let before = previous.used_units(state, now);
        // In the units of this rule.
        let resized = |units| match previous.cost {
            0 => 0,
            cost if cost == self.cost => units,
            cost => arith::mul_div_ceil(units, self.cost.into(), cost.into()),
        };
        let used = match how {
            // The same share of the capacity: no way through permits, nothing to round twice.
            CarryOver::Proportional if previous.capacity > 0 => {
                arith::mul_div_ceil(before, self.capacity, previous.capacity)
            }
            // Out of "unlimited", where nothing is ever used.
            CarryOver::Proportional => 0,
            _ => {
                let old = u128::from(previous.limit()).saturating_mul(self.cost.into());
                arith::carry_over(resized(before), old, self.capacity, how)
            }
        };
        let mut new = GreedyState::new(self.at(now).saturating_add(used));
        if how == CarryOver::KeepUsed || self.quota == previous.quota {
            let round_down = |units| match previous.cost {
                0 => 0,
                cost if cost == self.cost => units,
                cost => arith::mul_div_floor(units, self.cost.into(), cost.into()),
            };
            new.holds = state.holds.clone().map(|holds| holds.resized(round_down));
            Holds::refilled(&mut new.holds, used);
        }
        new
    }
}
