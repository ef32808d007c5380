//! The state of a token bucket, and its level as a value.

use crate::algorithm::holds::Holds;

/// The state of a [`GreedyRefill`](super::GreedyRefill): the time at which the bucket will be full,
/// and the grants that may still be cancelled.
///
/// A clone keeps the level only: receipts are valid for the original state alone.
#[derive(Debug, Default)]
pub struct GreedyState {
    /// The low and the high half of a `u128`. A `u128` field would be aligned to 16 bytes and make
    /// the state larger.
    full_at: [u64; 2],
    pub(super) holds: Option<Box<Holds>>,
}

impl GreedyState {
    /// A bucket that is full at `units` and has no grant that may be cancelled.
    #[inline]
    pub(crate) fn new(units: u128) -> Self {
        let mut state = Self { full_at: [0; 2], holds: None };
        state.set(units);
        state
    }

    /// The time at which the bucket will be full, in units.
    #[inline]
    pub(crate) fn full_at(&self) -> u128 {
        u128::from(self.full_at[1]) << 64 | u128::from(self.full_at[0])
    }

    /// Whether some grant may still be cancelled.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.holds.as_ref().is_some_and(|holds| holds.is_open())
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each half of a u128 has 64 bits")]
    pub(super) fn set(&mut self, units: u128) {
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

/// The exact level of a token bucket: `used_units / units_per_permit` permits are in use.
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
    /// Units in use. More than a full burst is debt.
    pub used_units: u128,
    /// Units of one permit; 0 if the quota is unlimited.
    pub units_per_permit: u64,
}
