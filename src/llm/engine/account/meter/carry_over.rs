//! What is used of a limit when another limit takes its place.

use super::{Forgiven, Level, Meter, Renewal, on};
use crate::algorithm::Algorithm;
use crate::{CarryOver, Timestamp};

impl Meter {
    /// Carries over to a new limit on the same thing what is used of this one, as far as the new one
    /// has room. Permits that may be given back still may, unless the new one is counted strictly
    /// and this one is not.
    ///
    /// `in_flight` is what the requests up to number `newest` have taken and may give back.
    pub(crate) fn carry_over_to(
        &self,
        new: &mut Self,
        now: Timestamp,
        in_flight: u64,
        newest: u64,
    ) {
        self.carry_level_over_to(new, now, in_flight, newest);
        new.forgiven = self.forgiven;
        if self.kind == new.kind && self.per_period() == new.per_period() {
            new.window = self.window;
        }
        if self.kind == new.kind && new.is_strict() {
            // What was refilled evenly until now is not renewed within a period from now on.
            new.renewal = if self.is_strict() { self.renewal } else { Some(Renewal::after(now)) };
            new.renew(now);
        }
        new.forgive_excess(now, newest);
    }

    /// Stops counting what is in use beyond the most that can be taken at once: a limit that is
    /// lowered must not take longer than its period to come back. (A strict window is back within
    /// its period in any case.) `newest` is the number of the last request.
    pub(crate) fn forgive_excess(&mut self, now: Timestamp, newest: u64) {
        let Level::Even(rule, state, _) = &mut self.level else { return };
        let Forgiven { count, at, not_given_back, .. } = std::mem::take(&mut self.forgiven);
        let again = if now - at < rule.quota().period() { count } else { 0 };
        rule.take(state, now, again);
        let not_given_back = not_given_back - again.min(not_given_back);
        let used = u64::try_from(rule.used(state, now)).unwrap_or(u64::MAX);
        let count = used.saturating_sub(rule.limit());
        rule.give_back(state, now, count);
        let not_given_back = not_given_back.saturating_add(count);
        self.forgiven = Forgiven { count, at: now, not_given_back, newest };
    }

    fn carry_level_over_to(&self, new: &mut Self, now: Timestamp, in_flight: u64, newest: u64) {
        if let (Some(from), Some(to)) = (&self.full_period, &mut new.full_period) {
            let ((old, from), (rule, to)) = (&**from, &mut **to);
            *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
        }
        match (&self.level, &mut new.level) {
            (Level::Even(old, from, _), Level::Even(rule, to, _)) => {
                *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
            }
            (Level::Strict(old, from), Level::Strict(rule, to)) => {
                *to = rule.carry_over(old, from, now, CarryOver::KeepUsed);
            }
            (from, to) => {
                let used = on!(from, |rule, state| rule.used(state, now));
                let settled = used.saturating_sub(in_flight.into());
                on!(to, |rule, state| *state = rule.start(now, settled));
                let in_flight = u64::try_from(used - settled).unwrap_or(in_flight);
                new.adopt(now, in_flight, newest);
            }
        }
    }

    /// Charges `count` for the requests up to number `upto` that are in flight already.
    pub(crate) fn adopt(&mut self, now: Timestamp, count: u64, upto: u64) {
        if let Some((rule, state)) = self.full_period.as_deref_mut() {
            rule.adopt(state, now, count, upto);
            return on!(&mut self.level, |rule, state| rule.take(state, now, count));
        }
        match &mut self.level {
            Level::Even(rule, state, _) => rule.adopt(state, now, count, upto),
            // A strict window would need to know when each request was sent, so this charge is
            // final.
            Level::Strict(rule, state) => rule.take(state, now, count),
        }
    }
}
