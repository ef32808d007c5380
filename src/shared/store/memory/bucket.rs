//! One limit of one subject: its state, and the quota under which it was last charged.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::{
    Algorithm, AnyRule, AnyState, FixedWindow, GreedyRefill, MaybeReturned, Receipt as Grant,
    SlidingWindow, StrictWindow,
};
use crate::shared::store::{Level, Receipt, Rule, Verdict};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A number of a grant that sliding and strict windows always take for one that can be given back:
/// they find it by its time.
const ANY_GRANT: u64 = u64::MAX;

/// A quota of a limit, as the rule that decides.
#[derive(Debug)]
pub(super) struct Terms {
    rule: AnyRule,
}

impl Terms {
    pub(super) fn new(kind: Rule, quota: Quota) -> Result<Self, QuotaError> {
        let rule = match kind {
            Rule::TokenBucket => AnyRule::new(GreedyRefill::try_from(quota)?),
            Rule::FixedWindow => AnyRule::new(FixedWindow::try_from(quota)?),
            Rule::SlidingWindow => AnyRule::new(SlidingWindow::try_from(quota)?),
            Rule::StrictWindow => AnyRule::new(StrictWindow::try_from(quota)?),
        };
        Ok(Self { rule })
    }

    pub(super) fn quota(&self) -> Quota {
        self.rule.quota()
    }
}

/// How many permits of a limit a request is about, and under which quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'a> {
    pub(super) terms: &'a Arc<Terms>,
    /// The permits, or `None` if their number does not fit.
    pub(super) permits: Option<u64>,
    /// Whether one time the charge costs nothing, so that the limit has no say.
    pub(super) is_free: bool,
    pub(super) receipt: Receipt,
}

impl Demand<'_> {
    /// The permits, or the most that can be counted.
    pub(super) fn most_permits(&self) -> u64 {
        self.permits.unwrap_or(u64::MAX)
    }
}

/// The state of one limit of one subject.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    state: AnyState,
    terms: Arc<Terms>,
    /// For token buckets.
    returned: MaybeReturned,
}

impl Bucket {
    /// A bucket of which nothing is in use.
    pub(super) fn full(terms: &Arc<Terms>, now: Timestamp) -> Self {
        let (state, terms) = (terms.rule.start(now, 0), Arc::clone(terms));
        Self { state, terms, returned: None }
    }

    /// Whether the bucket need not be stored: it is the same as [`full`](Self::full).
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        match (&self.terms.rule, &self.state) {
            (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                rule.is_idle(state, &self.returned, now)
            }
            _ => self.is_full(now),
        }
    }

    fn is_full(&self, now: Timestamp) -> bool {
        self.terms.rule.full_at(&self.state, now) <= now
    }

    /// The state at `now` under a quota. A window that is full starts anew, so that it makes no
    /// difference whether its subject was evicted.
    #[inline]
    fn under(&self, terms: &Arc<Terms>, now: Timestamp) -> Cow<'_, AnyState> {
        let is_same = Arc::ptr_eq(terms, &self.terms);
        if is_same && matches!(self.state, AnyState::Greedy(_)) {
            // Full token buckets are all alike.
            return Cow::Borrowed(&self.state);
        }
        self.changed(terms, now)
    }

    fn changed(&self, terms: &Arc<Terms>, now: Timestamp) -> Cow<'_, AnyState> {
        let (old, new) = (&self.terms.rule, &terms.rule);
        if self.is_full(now) {
            Cow::Owned(new.start(now, 0))
        } else if old.quota() == new.quota() {
            Cow::Borrowed(&self.state)
        } else {
            Cow::Owned(new.carry_over(old, &self.state, now, CarryOver::Proportional))
        }
    }

    /// Makes the state what it is at `now` under a quota.
    #[inline]
    fn bring(&mut self, terms: &Arc<Terms>, now: Timestamp) {
        let Cow::Owned(state) = self.under(terms, now) else { return };
        let rules = (&terms.rule, &self.terms.rule);
        if let ((AnyRule::Greedy(new), AnyRule::Greedy(old)), AnyState::Greedy(after)) =
            (rules, &state)
        {
            if let AnyState::Greedy(before) = &self.state {
                new.carry_returned(after, (old, before), &mut self.returned, now);
            }
        }
        self.state = state;
        self.terms = Arc::clone(terms);
    }

    /// The verdict on a demand, and how long its permits take to arrive.
    #[inline]
    pub(super) fn judge(
        &self,
        demand: &Demand<'_>,
        now: Timestamp,
        patience: Duration,
    ) -> (Verdict, Duration) {
        if demand.is_free {
            return (Verdict::Granted, Duration::ZERO);
        }
        let rule = &demand.terms.rule;
        let Some(permits) = demand.permits.filter(|permits| *permits <= rule.limit()) else {
            return (Verdict::Never, Duration::ZERO);
        };
        let ready = rule.ready_at(&self.under(demand.terms, now), now, permits);
        if ready <= now {
            return (Verdict::Granted, Duration::ZERO);
        }
        let wait = ready - now;
        let in_time = wait <= patience && ready < Timestamp::MAX;
        if in_time && matches!(rule, AnyRule::Greedy(_)) {
            (Verdict::Granted, wait)
        } else {
            (Verdict::Refused, wait)
        }
    }

    /// How many times `cost` can be taken now.
    pub(super) fn times(&self, demand: &Demand<'_>, now: Timestamp, cost: u64) -> u64 {
        let rule = &demand.terms.rule;
        let used = rule.used(&self.under(demand.terms, now), now);
        let left = u128::from(rule.limit()).saturating_sub(used);
        u64::try_from(left).unwrap_or(u64::MAX).checked_div(cost).unwrap_or(u64::MAX)
    }

    /// Whether the debt that would result from the demand can be repaid within the range of a
    /// clock. The demand is what is in use at least afterwards, or what is taken.
    pub(super) fn can_owe(&self, demand: &Demand<'_>, now: Timestamp, is_raise: bool) -> bool {
        let rule = &demand.terms.rule;
        let mut state =
            if is_raise { rule.start(now, 0) } else { self.under(demand.terms, now).into_owned() };
        rule.take(&mut state, now, demand.most_permits());
        rule.ready_at(&state, now, 0) < Timestamp::MAX
    }

    /// Takes the permits, now or for later; with `is_in_use`, also if they are not there.
    #[inline]
    pub(super) fn take(&mut self, demand: &Demand<'_>, now: Timestamp, is_in_use: bool) -> Receipt {
        let permits = demand.most_permits();
        if permits > 0 {
            self.bring(demand.terms, now);
        }
        let (rule, state) = (&self.terms.rule, &mut self.state);
        if let (AnyRule::Greedy(rule), AnyState::Greedy(state)) = (rule, &mut *state) {
            let receipt = if is_in_use {
                rule.consume(state, &mut self.returned, now, permits)
            } else {
                rule.charge(state, &mut self.returned, now, permits)
            };
            return Receipt(receipt.as_nanos());
        }
        rule.take(state, now, permits);
        Receipt(now.as_nanos())
    }

    /// Takes what is missing until so many permits are in use.
    pub(super) fn raise(&mut self, demand: &Demand<'_>, now: Timestamp) {
        let permits = demand.most_permits();
        if permits == 0 {
            return;
        }
        self.bring(demand.terms, now);
        match (&self.terms.rule, &mut self.state) {
            (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                rule.raise(state, &mut self.returned, now, permits);
            }
            (rule, state) => {
                let used = u64::try_from(rule.used(state, now)).unwrap_or(u64::MAX);
                rule.take(state, now, permits.saturating_sub(used));
            }
        }
    }

    /// Gives permits back, whoever took them.
    pub(super) fn credit(&mut self, demand: &Demand<'_>, now: Timestamp) {
        let permits = demand.most_permits();
        if permits > 0 {
            self.bring(demand.terms, now);
            match (&self.terms.rule, &mut self.state) {
                (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                    rule.credit(state, &mut self.returned, now, permits);
                }
                (rule, state) => rule.give_back(state, now, permits),
            }
        }
    }

    /// Gives back permits of the charge that the demand's receipt names: what refill has not
    /// brought back since. Returns the receipt for the rest of the charge.
    pub(super) fn hand_back(
        &mut self,
        demand: &Demand<'_>,
        now: Timestamp,
        only_unfollowed: bool,
    ) -> Receipt {
        let (permits, receipt) = (demand.most_permits(), demand.receipt);
        let at = Timestamp::from_nanos(receipt.0);
        if permits == 0 {
            return match (&self.terms.rule, &self.state) {
                (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                    Receipt(rule.receipt_by(state, &self.returned, now, at).as_nanos())
                }
                _ => receipt,
            };
        }
        self.bring(demand.terms, now);
        let (rule, state) = (&self.terms.rule, &mut self.state);
        if let (AnyRule::Greedy(rule), AnyState::Greedy(state)) = (rule, &mut *state) {
            let (returned, charge) = (&mut self.returned, (permits, at));
            let rest = rule.hand_back(state, returned, now, charge, only_unfollowed);
            return Receipt(rest.as_nanos());
        }
        match rule.as_fixed_window(state).map(|(window, state)| window.window_began(state, now)) {
            Some(began) if at < began => {}
            Some(_) => rule.give_back(state, now, permits),
            None => rule.undo(state, now, permits, Grant::new(ANY_GRANT, at)),
        }
        receipt
    }

    /// Takes the permits of a token bucket at once, if they are there. It has the effect of
    /// [`judge`](Self::judge), [`take`](Self::take) and [`show`](Self::show) in one step. `None`
    /// means that nothing was taken, and says no more.
    #[inline]
    pub(super) fn take_at_once(&mut self, demand: &Demand<'_>, now: Timestamp) -> Option<Level> {
        let permits = demand.permits.filter(|_| !demand.is_free && self.returned.is_none())?;
        let (AnyRule::Greedy(rule), AnyState::Greedy(state)) =
            (&demand.terms.rule, &mut self.state)
        else {
            return None;
        };
        if !Arc::ptr_eq(demand.terms, &self.terms) || !rule.try_take(state, now, permits) {
            return None;
        }
        let (receipt, full_at) = rule.full_between(state);
        let mut level = Level { receipt: Receipt(receipt.as_nanos()), ..Level::new(0) };
        show(rule, state, full_at, now, &mut level);
        Some(level)
    }

    /// Writes the level at `now` under the demand's quota. Verdict, wait and receipt are written
    /// already, but for the wait of a limit that has nothing left.
    #[inline]
    pub(super) fn show(&self, demand: &Demand<'_>, now: Timestamp, level: &mut Level) {
        let (rule, state) = (&demand.terms.rule, &*self.under(demand.terms, now));
        match (rule, state) {
            (AnyRule::Greedy(rule), AnyState::Greedy(state)) => {
                show(rule, state, rule.full_between(state).1, now, level);
            }
            _ => show(rule, state, rule.full_at(state, now), now, level),
        }
    }
}

#[inline]
fn show<A: Algorithm>(
    rule: &A,
    state: &A::State,
    full_at: Timestamp,
    now: Timestamp,
    level: &mut Level,
) {
    level.full_after = full_at - now;
    level.used = u64::try_from(rule.used(state, now)).unwrap_or(u64::MAX);
    level.remaining = rule.limit().saturating_sub(level.used);
    let is_at_once = level.verdict == Verdict::Granted && level.wait.is_zero();
    if is_at_once && level.remaining == 0 {
        level.wait = rule.ready_at(state, now, 1) - now;
    }
}
