//! What a store of shared levels needs beyond the rule: to take a charge back by a receipt that is
//! one number, so that the store keeps nothing about each charge.
//!
//! Let `V` be the time at which the bucket would be full if nothing had ever been given back. A
//! receipt `R` is `V` right after its charge, so `V - R` is at least what was taken since. Of a
//! charge, at most `used - (V - R)` is given back. This is safe: if the charge had never been made,
//! at most what was taken since would be in use now, or as much less as the charge took, whichever
//! is more. So charges that are taken back admit no more than if they had not been made. (The time
//! at which the bucket *is* full would not do as a receipt: what others give back meanwhile moves
//! it, and then a charge that refill has brought back long ago seems to be in use.)
//!
//! Permits that were taken for a later time must not be used again before that time by others. So
//! as long as somebody may wait, nothing is given back that somebody has taken permits behind. Who
//! has taken permits for later waits until the level falls to the burst. As long as nobody gives
//! anything back, and nobody makes a debt, the level tells until when; otherwise, that time is
//! remembered beside `V`. Nobody waits for a debt: what was consumed or reported is in use already.

use super::{GreedyRefill, GreedyState};
use crate::Timestamp;
use crate::algorithm::Algorithm;

/// What a bucket remembers that its level does not tell.
#[derive(Clone, Debug)]
pub(crate) struct Returned {
    /// `V`, in units.
    charged_until: u128,
    /// Receipts up to this one are void, because the quota has changed since.
    void: Timestamp,
    /// Until when somebody may wait for permits that were taken for later.
    promised_until: Timestamp,
}

/// Nothing for most buckets: nothing was given back to them, and they are not in debt.
pub(crate) type MaybeReturned = Option<Box<Returned>>;

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
        (self.nanos_floor(units), self.nanos_ceil(units))
    }

    /// Takes `permits`, now or for later, and returns the receipt, rounded down.
    pub(crate) fn charge(
        &self,
        state: &mut GreedyState,
        returned: &mut MaybeReturned,
        now: Timestamp,
        permits: u64,
    ) -> Timestamp {
        let until = self.charged_until(state, returned, now).saturating_add(self.cost_of(permits));
        self.take(state, now, permits);
        if let Some(it) = returned.as_ref().filter(|_| permits > 0) {
            let promised_until = it.promised_until.max(self.within_burst_at(state));
            self.remember(state, returned, (until, promised_until), now);
        }
        self.nanos_floor(until)
    }

    /// Takes `permits` that are in use already, also if they are not there. Returns the receipt,
    /// rounded down.
    pub(crate) fn consume(
        &self,
        state: &mut GreedyState,
        returned: &mut MaybeReturned,
        now: Timestamp,
        permits: u64,
    ) -> Timestamp {
        let until = self.charged_until(state, returned, now).saturating_add(self.cost_of(permits));
        let promised_until = self.promised_until(state, returned);
        self.take(state, now, permits);
        self.remember(state, returned, (until, promised_until), now);
        self.nanos_floor(until)
    }

    /// Consumes what is missing until `permits` are in use.
    pub(crate) fn raise(
        &self,
        state: &mut GreedyState,
        returned: &mut MaybeReturned,
        now: Timestamp,
        permits: u64,
    ) {
        let full_at = state.full_at().max(self.at(now));
        let raised = self.at(now).saturating_add(self.cost_of(permits));
        if raised <= full_at {
            return;
        }
        let until = self.charged_until(state, returned, now).saturating_add(raised - full_at);
        let promised_until = self.promised_until(state, returned);
        state.set(raised);
        self.remember(state, returned, (until, promised_until), now);
    }

    /// Gives back `permits`, whoever took them.
    pub(crate) fn credit(
        &self,
        state: &mut GreedyState,
        returned: &mut MaybeReturned,
        now: Timestamp,
        permits: u64,
    ) {
        let until = self.charged_until(state, returned, now);
        let promised_until = self.promised_until(state, returned);
        self.give_back(state, now, permits);
        self.remember(state, returned, (until, promised_until), now);
    }

    /// Gives back `permits` of the charge that has this receipt, as far as they can be. Returns the
    /// receipt for the rest of the charge.
    ///
    /// With `only_unfollowed`, or if somebody may still wait for permits that were taken for later,
    /// it gives back at most what nobody has taken permits behind.
    pub(crate) fn hand_back(
        &self,
        state: &mut GreedyState,
        returned: &mut MaybeReturned,
        now: Timestamp,
        (permits, receipt): (u64, Timestamp),
        only_unfollowed: bool,
    ) -> Timestamp {
        if returned.as_ref().is_some_and(|it| receipt <= it.void) {
            return receipt;
        }
        let until = self.charged_until(state, returned, now);
        let (cost, behind) = (self.cost_of(permits), until.saturating_sub(self.at(receipt)));
        let mut given = cost.min(self.used_units(state, now).saturating_sub(behind));
        // Who was promised permits for later uses them then, also if others give theirs back now.
        let promised_until = self.promised_until(state, returned);
        if only_unfollowed || promised_until > now {
            given = given.min(cost.saturating_sub(behind));
        }
        let is_told = self.is_told(state, (until, promised_until), now);
        state.set(state.full_at().saturating_sub(given));
        // If nobody took permits since, it is as if fewer had been charged. A receipt can only tell
        // that if a permit takes a nanosecond or longer.
        let is_last = self.cost >= self.speed && self.nanos_floor(until) == receipt;
        let until = if is_last { until - given } else { until };
        // The last who waits is the one who gives back, if the level tells who waits.
        let promised_until =
            if is_last && is_told { self.within_burst_at(state) } else { promised_until };
        if given > 0 {
            self.remember(state, returned, (until, promised_until), now);
        }
        self.receipt_by(state, returned, now, receipt)
    }

    /// The receipt of a charge as it is worth now. It is later only if it is from before a reset.
    pub(crate) fn receipt_by(
        &self,
        state: &GreedyState,
        returned: &MaybeReturned,
        now: Timestamp,
        receipt: Timestamp,
    ) -> Timestamp {
        receipt.min(self.nanos_floor(self.charged_until(state, returned, now)))
    }

    /// What to remember under this rule, which has replaced `previous`. `before` was the state
    /// then, and `state` is the state now.
    pub(crate) fn carry_returned(
        &self,
        state: &GreedyState,
        (previous, before): (&Self, &GreedyState),
        returned: &mut MaybeReturned,
        now: Timestamp,
    ) {
        let void = previous.nanos_ceil(previous.charged_until(before, returned, now));
        let charged_until = self.at(void).max(state.full_at());
        // Who waits was told a time, and that stands.
        let promised_until = previous.promised_until(before, returned);
        let void = returned.as_ref().map_or(void, |it| it.void.max(void));
        let new = Returned { charged_until, void, promised_until };
        *returned = (void > now).then(|| Box::new(new));
    }

    /// Whether nothing is in use, and no receipt is worth anything.
    pub(crate) fn is_idle(
        &self,
        state: &GreedyState,
        returned: &MaybeReturned,
        now: Timestamp,
    ) -> bool {
        let at = self.at(now);
        state.full_at() <= at && returned.as_ref().is_none_or(|it| it.is_over(at, now))
    }

    /// `V`, in units.
    fn charged_until(&self, state: &GreedyState, returned: &MaybeReturned, now: Timestamp) -> u128 {
        let until = returned.as_ref().map_or(0, |it| it.charged_until);
        until.max(state.full_at()).max(self.at(now))
    }

    /// When the level falls to the burst, rounded up.
    fn within_burst_at(&self, state: &GreedyState) -> Timestamp {
        self.nanos_ceil(state.full_at().saturating_sub(self.capacity))
    }

    /// Until when somebody may wait for permits that were taken for later.
    fn promised_until(&self, state: &GreedyState, returned: &MaybeReturned) -> Timestamp {
        returned.as_ref().map_or_else(|| self.within_burst_at(state), |it| it.promised_until)
    }

    /// Whether the level tells `V`, and until when somebody may wait.
    fn is_told(
        &self,
        state: &GreedyState,
        (until, promised_until): (u128, Timestamp),
        now: Timestamp,
    ) -> bool {
        until <= state.full_at().max(self.at(now))
            && promised_until.max(now) == self.within_burst_at(state).max(now)
    }

    /// Remembers `V`, and until when somebody may wait, if the level does not tell.
    fn remember(
        &self,
        state: &GreedyState,
        returned: &mut MaybeReturned,
        (charged_until, promised_until): (u128, Timestamp),
        now: Timestamp,
    ) {
        let void = returned.as_ref().map_or(Timestamp::ZERO, |it| it.void);
        if void <= now && self.is_told(state, (charged_until, promised_until), now) {
            *returned = None;
            return;
        }
        let new = Returned { charged_until, void, promised_until };
        match returned {
            Some(returned) => **returned = new,
            None => *returned = Some(Box::new(new)),
        }
    }

    fn nanos_floor(&self, units: u128) -> Timestamp {
        Timestamp::from_wide(units / u128::from(self.speed))
    }
}

impl Returned {
    /// Whether there is nothing left to remember at `now`, which is `at` in units.
    fn is_over(&self, at: u128, now: Timestamp) -> bool {
        self.charged_until <= at && self.void <= now
    }
}
