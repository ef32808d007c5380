//! A token bucket's state in one 64-bit word.
//!
//! | bits | meaning |
//! |---|---|
//! | 9..64 | `ticks`: when the bucket will be full, in ticks since the epoch of the scale |
//! | 1..9 | generation: the number of the [`Scale`] of these ticks, modulo 256 |
//! | 0 | busy: the state is checked out, and the mutex has to decide |
//!
//! A tick is 2^shift exact units of [`GreedyRefill`]. For rates whose reduced fraction
//! `permits / period` has a numerator below 2^22, which is nearly all rates, `shift` is 0 and the
//! word is exact.
//!
//! Otherwise the word is rounded so that it never admits more than the quota:
//!
//! * Times are rounded up when they are stored, so `ticks` is never too early.
//! * The cost of a permit is rounded up and one tick is added. That is an error of less than a
//!   millionth.
//! * One tick is added to the capacity, so that a full bucket still has its whole burst.
//!
//! In a window of `w` ticks, N permits pass only if `N * cost <= burst * cost + w + 1`. Since
//! `cost` is at least one more than the exact cost `c`, N is at most `burst + w / c` for `w >= c`,
//! and at most `burst` for a shorter window.

use crate::algorithm::{Algorithm, GreedyRefill};
use crate::{QuotaError, Timestamp};

const TICK_BITS: u32 = 55;
/// A full bucket takes at most this many bits, which leaves the rest to the time since the epoch.
const CAPACITY_BITS: u32 = 53;
/// The number of ticks per nanosecond has at most this many bits, so that the epoch is moved
/// rarely: then 2^54 ticks last at least 4 s.
const SPEED_BITS: u32 = 22;
/// For a cost of at least this many ticks, an error of two ticks is less than a millionth.
const PRECISE: u128 = 1 << 21;

pub(crate) const BUSY: u64 = 1;
const GENERATION: u64 = 0x1FE;

/// How the times and permits of a quota are converted to ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    /// Exact units per nanosecond.
    pub(crate) speed: u64,
    /// A tick is 2^shift exact units.
    pub(crate) shift: u32,
    /// The time of tick 0, in nanoseconds.
    pub(crate) epoch: u64,
    /// How many nanoseconds after the epoch a new epoch is needed.
    pub(crate) range: u64,
    /// Ticks per permit.
    pub(crate) cost: u64,
    /// Ticks of a full bucket.
    pub(crate) capacity: u64,
}

impl Scale {
    /// A scale for `rule` whose ticks count from `epoch`.
    pub(crate) fn new(rule: &GreedyRefill, epoch: Timestamp) -> Result<Self, QuotaError> {
        let (speed, unit_cost, burst) = (rule.speed(), u128::from(rule.cost()), rule.limit());
        // The exact cost in units, or the rounded cost and one tick.
        let in_ticks = |shift: u32| match shift {
            0 => unit_cost,
            _ => unit_cost.div_ceil(1 << shift) + 1,
        };
        let fits = |cost: u128| cost.saturating_mul(burst.into()) < 1 << CAPACITY_BITS;
        let mut shift = (u64::BITS - speed.leading_zeros()).saturating_sub(SPEED_BITS);
        while !fits(in_ticks(shift)) {
            shift += 1;
            if shift == u64::BITS {
                return Err(QuotaError::TooWide);
            }
        }
        let cost = in_ticks(shift);
        if shift != 0 && cost < PRECISE {
            return Err(QuotaError::TooWide);
        }
        let ticks = |wide: u128| u64::try_from(wide).map_err(|_| QuotaError::TooWide);
        let range = (1_u128 << (TICK_BITS - 1 + shift)) / u128::from(speed);
        Ok(Self {
            speed,
            shift,
            epoch: epoch.as_nanos(),
            range: u64::try_from(range).unwrap_or(u64::MAX),
            cost: ticks(cost)?,
            // The cost of an unlimited rule is 0, so its capacity is 0 too.
            capacity: ticks(cost.saturating_mul(burst.into()))? + u64::from(shift != 0),
        })
    }

    /// The rule with its cost in whole ticks, for permits that are taken from the core. If the core
    /// used the exact cost, the word and the core together could admit slightly more than the
    /// burst.
    pub(crate) fn rule_in_ticks(rule: GreedyRefill) -> Result<GreedyRefill, QuotaError> {
        let scale = Self::new(&rule, Timestamp::ZERO)?;
        let cost = u64::try_from(u128::from(scale.cost) << scale.shift);
        Ok(rule.with_cost(cost.map_err(|_| QuotaError::TooWide)?))
    }

    /// `now` in ticks, rounded down; `None` if a new epoch is needed.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "within the range, ticks have 54 bits")]
    pub(crate) fn ticks_at(&self, now: Timestamp) -> Option<u64> {
        // A time before the epoch is for the lock to judge.
        let since = now.as_nanos().checked_sub(self.epoch)?;
        if since >= self.range {
            return None;
        }
        Some(if self.speed == 1 && self.shift == 0 {
            since
        } else if self.shift == 0 {
            // Within the range, this does not overflow. After a torn read, the value does not
            // matter.
            since.wrapping_mul(self.speed)
        } else {
            ((u128::from(since) * u128::from(self.speed)) >> self.shift) as u64
        })
    }

    /// A state in exact units as ticks, rounded up; `None` if it is too far in the future. A bucket
    /// that is full is stored as one that becomes full at `latest`. Otherwise it would count as
    /// full at an older reading of the clock, too.
    pub(crate) fn ticks_of(&self, full_at: u128, latest: Timestamp) -> Option<u64> {
        let epoch = u128::from(self.epoch) * u128::from(self.speed);
        let full_at = full_at.max(u128::from(latest.as_nanos()) * u128::from(self.speed));
        let ticks = full_at.saturating_sub(epoch).div_ceil(1 << self.shift);
        u64::try_from(ticks).ok().filter(|ticks| *ticks < 1 << TICK_BITS)
    }

    /// Ticks as a state in exact units. Saturates, for extreme rates near the end of time.
    pub(crate) fn state_of(&self, ticks: u64) -> u128 {
        let epoch = u128::from(self.epoch) * u128::from(self.speed);
        if self.cost == 0 {
            // For an unlimited quota, the ticks are the newest time seen, and not used permits.
            return epoch;
        }
        epoch.saturating_add(u128::from(ticks) << self.shift)
    }

    /// The ticks after `permits` were taken at `at`, if they are available.
    #[inline]
    pub(crate) fn take(&self, ticks: u64, at: u64, permits: u64) -> Option<u64> {
        // These operations wrap only after a torn read, and then the compare-and-swap fails.
        let cost = if permits == 1 { self.cost } else { permits.saturating_mul(self.cost) };
        let since = if self.shift == 0 { at } else { at.wrapping_add(1) };
        let after = ticks.max(since).saturating_add(cost);
        (after.wrapping_sub(at) <= self.capacity).then_some(after)
    }

    /// The most permits that can be taken at once; [`u64::MAX`] if unlimited.
    #[inline]
    pub(crate) fn burst(&self) -> u64 {
        self.capacity.checked_div(self.cost).unwrap_or(u64::MAX)
    }

    /// How long after `now` the bucket will be full.
    #[inline]
    pub(crate) fn reset(&self, full_at: u64, now: Timestamp) -> Timestamp {
        let nanos = self.nanos_of(full_at) + u128::from(self.epoch);
        Timestamp::from_wide(nanos.saturating_sub(now.as_nanos().into()))
    }

    /// The time from `now` until `permits` can be taken, which cannot be taken now; `at` is `now`
    /// in ticks.
    #[inline]
    pub(crate) fn wait(&self, ticks: u64, at: u64, permits: u64, now: Timestamp) -> Timestamp {
        let since = if self.shift == 0 { at } else { at.saturating_add(1) };
        let after = u128::from(ticks.max(since)) + u128::from(permits) * u128::from(self.cost);
        let nanos = self.nanos_ceil(after.saturating_sub(self.capacity.into()));
        let nanos = nanos + u128::from(self.epoch);
        Timestamp::from_wide(nanos.saturating_sub(now.as_nanos().into()))
    }

    /// How many permits are left if `used` ticks are in use.
    #[inline]
    pub(crate) fn left(&self, used: u64) -> u64 {
        match self.capacity.saturating_sub(used) {
            _ if self.cost == 0 => u64::MAX,
            // The usual answer to a refused request, without a division.
            left if left < self.cost => 0,
            left => left / self.cost,
        }
    }

    /// Nanoseconds of `ticks`, rounded up.
    pub(crate) fn nanos_of(&self, ticks: u64) -> u128 {
        self.nanos_ceil(ticks.into())
    }

    #[inline]
    fn nanos_ceil(&self, ticks: u128) -> u128 {
        let units = ticks << self.shift;
        match (self.speed, u64::try_from(units)) {
            (0 | 1, _) => units,
            // Nearly all values fit the 64-bit division of the machine.
            (speed, Ok(units)) => units.div_ceil(speed).into(),
            (speed, Err(_)) => units.div_ceil(speed.into()),
        }
    }
}

/// The ticks of a word.
#[inline]
pub(crate) fn ticks(word: u64) -> u64 {
    word >> 9
}

/// The word with other ticks and the same generation, not busy.
#[inline]
pub(crate) fn with_ticks(word: u64, ticks: u64) -> u64 {
    (ticks << 9) | (word & GENERATION)
}

/// A word with the generation after that of `word`, 0 ticks, not busy.
pub(crate) fn next_generation(word: u64) -> u64 {
    word.wrapping_add(2) & GENERATION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;
    use std::time::Duration;

    #[test]
    fn usual_rates_are_exact_and_all_are_within_a_millionth() {
        for (permits, period) in [
            (1, 86_400),
            (7, 3),
            (600, 60),
            (1_000, 1),
            (999_983, 1),
            (700_000_000, 1),
            (1_000_000_000, 1),
            (999_999_937, 1),
        ] {
            let quota = Quota::per(permits, Duration::from_secs(period)).burst(100);
            let rule = GreedyRefill::try_from(quota).expect("valid");
            let scale = Scale::new(&rule, Timestamp::ZERO).expect("fits");
            let exact = u128::from(rule.cost());
            let rounded = u128::from(scale.cost) << scale.shift;
            assert!(rounded >= exact, "{quota} would run fast");
            assert!((rounded - exact) * 1_000_000 <= exact, "{quota} off by more than a millionth");
            assert_eq!(rounded == exact, scale.shift == 0, "{quota}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let wide = Quota::per_day(1).burst(u64::MAX);
        let rule = GreedyRefill::try_from(wide).expect("valid");
        assert_eq!(Scale::new(&rule, Timestamp::ZERO), Err(QuotaError::TooWide));
    }

    #[test]
    fn states_survive_the_word() {
        let rule = GreedyRefill::try_from(Quota::per(7, Duration::from_secs(3))).expect("valid");
        let scale = Scale::new(&rule, Timestamp::from_nanos(1_000)).expect("fits");
        let state = scale.state_of(12_345);
        assert_eq!(scale.ticks_of(state, Timestamp::ZERO), Some(12_345));
        let word = with_ticks(0x1FF, 12_345);
        assert_eq!((ticks(word), word & BUSY), (12_345, 0));
        assert_eq!(next_generation(0x1FE), 0);
    }
}
