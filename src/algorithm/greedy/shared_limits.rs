//! What a store of shared levels needs beyond the rule: to take a charge back by the time at which
//! the bucket would be full after it, so that the store keeps nothing about the charge.
//!
//! Let `F` be that time. What refill has not brought back of the charge by `now` is at most
//! `F - now` units. In a bucket in which the charge had never been made, at most that much less
//! would be in use, whoever took permits meanwhile. So to give back `F - now` units at most gives
//! back nothing that refill has brought back already.

use super::{GreedyRefill, GreedyState};
use crate::Timestamp;

impl GreedyRefill {
    /// The time at which the bucket will be full, in ns, rounded down and rounded up. It is in the
    /// past if the bucket is full.
    #[inline]
    pub(crate) fn full_between(&self, state: &GreedyState) -> (Timestamp, Timestamp) {
        let units = state.full_at();
        if let Ok(units) = u64::try_from(units) {
            let down = units / self.speed;
            let up = down.saturating_add(u64::from(units % self.speed != 0));
            return (Timestamp::from_nanos(down), Timestamp::from_nanos(up));
        }
        let speed = u128::from(self.speed);
        (Timestamp::from_wide(units / speed), Timestamp::from_wide(units.div_ceil(speed)))
    }

    /// Gives back `permits` of a charge after which the bucket would have been full at `full_at`,
    /// but at most what refill has not brought back since. Returns `full_at` without what was given
    /// back, rounded down.
    ///
    /// With `only_unfollowed`, it gives back at most what nobody has taken permits behind.
    pub(crate) fn hand_back(
        &self,
        state: &mut GreedyState,
        now: Timestamp,
        permits: u64,
        full_at: Timestamp,
        only_unfollowed: bool,
    ) -> Timestamp {
        let charged = self.at(full_at);
        let mut given = self.cost_of(permits).min(charged.saturating_sub(self.at(now)));
        if only_unfollowed {
            let behind = state.full_at().saturating_sub(charged);
            given = given.min(self.cost_of(permits).saturating_sub(behind));
        }
        state.set(state.full_at().saturating_sub(given));
        Timestamp::from_wide((charged - given) / u128::from(self.speed))
    }
}
