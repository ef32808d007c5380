//! Token bucket with greedy refill: permits arrive evenly.
//!
//! The level is stored exactly, as a time: `full_at` is when the bucket will be full again if
//! nothing more is taken (the "theoretical arrival time" of GCRA, ITU-T I.371). It is counted in
//! units of `1 / speed` ns, where `speed / cost` is `permits / period` in lowest terms. So a
//! nanosecond has `speed` units, a permit costs `cost` units, and nothing is ever rounded. Taking
//! permits moves `full_at` into the future; as time passes, `now` approaches it. The bucket is
//! empty when `full_at` is `capacity = burst * cost` units after `now`.

#[cfg(feature = "llm")]
mod model_limits;
#[cfg(feature = "shared")]
mod shared_limits;
mod state;

#[cfg(feature = "llm")]
pub(crate) use model_limits::Scale;
#[cfg(feature = "shared")]
pub(crate) use shared_limits::{Charged, MaybeReturned};
pub use state::{GreedyState, Level};

use super::holds::Holds;
use super::{Algorithm, Receipt, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A token bucket whose permits arrive evenly. The level is exact and never drifts.
///
/// **The promise.** In any window of length `w`, on the limiter's clock, the permits of grants that
/// are not cancelled are at most `burst + rate * w`, plus what
/// [`credit`](crate::RateLimiter::credit) gave in that window, plus one burst for each
/// [`reset`](crate::RateLimiter::reset) in it. A cancelled grant gives back at most the part that
/// has not been refilled since it was made. A waiter that is served late counts as served when it
/// was due, within the bounds of
/// [`LimiterBuilder::catch_up`](crate::LimiterBuilder::catch_up). A new quota starts with the level
/// that [`CarryOver`] defines. If the clock steps back, time stands still for the limiter until the
/// clock has caught up.
///
/// The state is 24 bytes.
///
/// ```
/// use std::time::Duration;
/// use tollgate::algorithm::{Algorithm, GreedyRefill};
/// use tollgate::{Quota, Timestamp};
///
/// // 7 permits per 3 s: an empty bucket has its next permit after 3/7 s, rounded up.
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
    /// Units per permit; 0 if the quota is unlimited.
    cost: u64,
    /// The size of the bucket in units.
    capacity: u128,
}

impl GreedyRefill {
    /// The exact level, fractions included. See [`Level`] for an example.
    #[must_use]
    pub fn level(&self, state: &<Self as Algorithm>::State, now: Timestamp) -> Level {
        Level { used_units: self.used_units(state, now), units_per_permit: self.cost }
    }

    /// [`try_take`](Algorithm::try_take) in 64 bits. `state` is relative to an epoch, and `elapsed`
    /// is the number of nanoseconds since that epoch.
    ///
    /// Returns the new state. `None` means that too few permits are available, or that 64 bits are
    /// too few for the calculation.
    #[inline]
    pub(super) fn try_take_since(&self, state: u64, elapsed: u64, permits: u64) -> Option<u64> {
        let at = elapsed.checked_mul(self.speed)?;
        let used = state.saturating_sub(at).checked_add(permits.checked_mul(self.cost)?)?;
        if u128::from(used) <= self.capacity { at.checked_add(used) } else { None }
    }

    /// The same rule with a cost of `cost` units per permit, which must not be less than now: a
    /// slightly slower refill.
    pub(crate) fn with_cost(self, cost: u64) -> Self {
        let capacity = u128::from(self.quota.burst_size()) * u128::from(cost);
        Self { cost, capacity, ..self }
    }

    /// Units per nanosecond.
    pub(crate) fn speed(&self) -> u64 {
        self.speed
    }

    /// Units per permit; 0 if the quota is unlimited.
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

    /// Lowers what cancelled grants can still give back to what refill has left in use.
    #[cold]
    fn note_refill(&self, state: &mut GreedyState, now: Timestamp) {
        let used = self.used_units(state, now);
        Holds::refilled(&mut state.holds, used);
    }

    #[inline]
    fn cost_of(&self, permits: u64) -> u128 {
        u128::from(permits) * u128::from(self.cost)
    }

    /// The first whole nanosecond that is not before `units`.
    fn nanos_ceil(&self, units: u128) -> Timestamp {
        // Most values fit into 64 bits, where division is much faster.
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
        // An empty bucket at `Timestamp::MAX` must fit into 128 bits. Then a sum that overflows is
        // always a time after `Timestamp::MAX`.
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
        // A time that does not fit into 128 bits is after `Timestamp::MAX`, which means never.
        let Some(after) = state.full_at().max(at).checked_add(self.cost_of(permits)) else {
            return Timestamp::MAX;
        };
        if after - at <= self.capacity { now } else { self.nanos_ceil(after - self.capacity) }
    }

    /// Same result as [`ready_at`](Self::ready_at) and then [`take`](Self::take), with a single
    /// comparison.
    #[inline]
    fn try_take(&self, state: &mut GreedyState, now: Timestamp, permits: u64) -> bool {
        let at = self.at(now);
        match state.full_at().max(at).checked_add(self.cost_of(permits)) {
            Some(after) if after - at <= self.capacity && permits <= self.limit() => {
                if state.is_held() {
                    self.note_refill(state, now);
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
            self.note_refill(state, now);
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
        self.note_refill(state, now);
        let units = self.cost_of(permits);
        let given = Holds::undo(&mut state.holds, receipt.seq, units);
        state.set(state.full_at().saturating_sub(given));
    }

    fn give_back(&self, state: &mut GreedyState, now: Timestamp, permits: u64) {
        if state.is_held() {
            self.note_refill(state, now);
        }
        // A `full_at` before `now` means full, so a bucket can't hold more than its burst.
        state.set(state.full_at().saturating_sub(self.cost_of(permits)));
        if state.is_held() {
            self.note_refill(state, now);
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
        // Converts units of the previous rule to units of this rule.
        let resized = |units| match previous.cost {
            0 => 0,
            cost if cost == self.cost => units,
            cost => arith::mul_div_ceil(units, self.cost.into(), cost.into()),
        };
        let used = match how {
            // Scale the units directly: a conversion to permits would round twice.
            CarryOver::Proportional if previous.capacity > 0 => {
                arith::mul_div_ceil(before, self.capacity, previous.capacity)
            }
            // The previous quota was unlimited, so nothing was in use.
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
