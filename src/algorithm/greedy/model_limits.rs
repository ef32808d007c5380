//! What the limits of a model API need beyond the rule: grants made before the limit was known,
//! and the used share of a bucket as one number.

use super::{GreedyRefill, GreedyState};
use crate::Timestamp;
use crate::algorithm::holds::Holds;
use crate::algorithm::{Algorithm, Receipt};

/// The capacity of a bucket, prepared so that a share of it needs no division.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    /// The number of low bits of a level in units that are ignored.
    shift: u32,
    /// The capacity without these bits.
    capacity: u64,
    /// The share of the capacity that one shifted unit is, in parts of 2^63.
    parts_per_unit: u64,
}

impl GreedyRefill {
    /// Takes the permits of grants that were made before this limit existed, up to grant number
    /// `upto`. These grants may be cancelled later.
    pub(crate) fn adopt(&self, state: &mut GreedyState, now: Timestamp, permits: u64, upto: u64) {
        self.take(state, now, permits);
        Holds::adopt(&mut state.holds, upto, self.cost_of(permits));
    }

    /// Does the same as [`undo`](Algorithm::undo), and returns how many whole permits were given
    /// back.
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

    /// Takes so much that the bucket is not full before `until`; nothing, if it is not full before
    /// in any case.
    pub(crate) fn raise_until(&self, state: &mut GreedyState, now: Timestamp, until: Timestamp) {
        if state.is_held() {
            self.note_refill(state, now);
        }
        state.set(state.full_at().max(self.at(until)));
    }

    /// Prepares the argument of [`share_used`](Self::share_used).
    pub(crate) fn scale(&self) -> Scale {
        // The highest 31 bits are precise enough.
        let shift = (u128::BITS - self.capacity.leading_zeros()).saturating_sub(31);
        let capacity = u64::try_from(self.capacity >> shift).unwrap_or(u64::MAX).max(1);
        Scale { shift, capacity, parts_per_unit: (1 << 63) / capacity }
    }

    /// The used share of the capacity, in parts of 65,536. A bucket in debt counts as fully used.
    #[inline]
    pub(crate) fn share_used(&self, scale: Scale, state: &GreedyState, now: Timestamp) -> u64 {
        let used = self.used_units(state, now) >> scale.shift;
        let used = u64::try_from(used).map_or(scale.capacity, |used| used.min(scale.capacity));
        (used * scale.parts_per_unit) >> (63 - 16)
    }
}
