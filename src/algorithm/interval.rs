//! Token bucket with interval refill: all permits of a period arrive at the end of the period.

use super::holds::Holds;
use super::{Algorithm, Receipt, Whole, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A token bucket whose permits arrive all at once, at the end of each period.
///
/// Periods follow each other without gaps, from the start of the limiter or from
/// [`aligned_to`](Self::aligned_to), and never shift.
///
/// **The promise.** In any window of length `w`, on the limiter's clock, the permits of grants that
/// are not cancelled are at most `burst + permits * (floor(w / period) + 1)`, plus what
/// [`credit`](crate::RateLimiter::credit) gave in that window, plus one burst for each
/// [`reset`](crate::RateLimiter::reset) in it. A cancelled grant gives back at most the part that
/// no refill has brought back since. When a quota with another period is set, the time since the
/// last refill counts as a duration or as a share of the period, whichever is less. A quota that is
/// set again after another one continues where it was replaced, so switching back and forth brings
/// neither a refill nor a permit sooner.
///
/// The state is 64 bytes.
///
/// ```
/// use std::time::Duration;
/// use tollgate::algorithm::IntervalRefill;
/// use tollgate::{Limiter, ManualClock, Quota, RateLimiter};
///
/// let clock = ManualClock::new();
/// let rule = IntervalRefill::try_from(Quota::per_minute(10))?;
/// let limiter = Limiter::builder_from_algorithm(rule).clock(clock.clone()).build()?;
/// assert!(limiter.allow_n(10));
/// clock.advance(Duration::from_secs(59));
/// assert!(!limiter.allow());
/// clock.advance(Duration::from_secs(1));
/// assert!(limiter.allow_n(10));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct IntervalRefill {
    quota: Quota,
    period: u64,
    first_refill: Option<Timestamp>,
}

/// The state of an [`IntervalRefill`]: the permits in use, and the time of the next refill.
///
/// A clone has no grants that may be cancelled: receipts are valid for the original state alone.
#[derive(Debug)]
pub struct IntervalState {
    used: u128,
    next_refill: u64,
    replaced: Vec<Replaced>,
    holds: Option<Box<Holds>>,
}

/// The number of earlier quotas that are remembered. Switching between more quotas in turn can gain
/// refills.
const REMEMBERED: usize = 8;

/// A replaced quota and its level at that time. If the quota is set again, it continues from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replaced {
    quota: Quota,
    used: u128,
    /// The time, in ns, that was left until its next refill.
    missing: u64,
}

impl Clone for IntervalState {
    fn clone(&self) -> Self {
        let Self { used, next_refill, .. } = *self;
        Self { used, next_refill, replaced: self.replaced.clone(), holds: None }
    }
}

impl PartialEq for IntervalState {
    fn eq(&self, other: &Self) -> bool {
        (self.used, self.next_refill) == (other.used, other.next_refill)
    }
}

impl Eq for IntervalState {}

impl IntervalRefill {
    /// The same rule with refills at `first_refill` and every period after it, such as on the full
    /// minute.
    ///
    /// No refill comes before `first_refill`. If it is in the past, refills come a whole number of
    /// periods after it.
    ///
    /// ```
    /// use tollgate::algorithm::{Algorithm, IntervalRefill};
    /// use tollgate::{Quota, Timestamp};
    ///
    /// let at = |secs: u64| Timestamp::from_nanos(secs * 1_000_000_000);
    /// let rule = IntervalRefill::try_from(Quota::per_minute(10))?.aligned_to(at(120));
    /// let empty = rule.start(at(80), 10);
    /// assert_eq!(rule.ready_at(&empty, at(80), 1), at(120));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn aligned_to(mut self, first_refill: Timestamp) -> Self {
        self.first_refill = Some(first_refill);
        self
    }

    /// A fair number of initial permits at `now` if the first refill is less than a period away:
    /// `burst - permits`, plus the share of one refill for the time until it comes.
    ///
    /// This is the rule of bucket4j's `refillIntervallyAlignedWithAdaptiveInitialTokens`.
    ///
    /// ```
    /// use tollgate::algorithm::IntervalRefill;
    /// use tollgate::{Quota, Timestamp};
    ///
    /// let at = |secs: u64| Timestamp::from_nanos(secs * 1_000_000_000);
    /// let rule = IntervalRefill::try_from(Quota::per_minute(200).burst(400))?.aligned_to(at(120));
    /// assert_eq!(rule.adaptive_initial(at(80)), 333);
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn adaptive_initial(&self, now: Timestamp) -> u64 {
        let burst = self.quota.burst_size();
        let Some(first) = self.first_refill.filter(|first| *first > now) else { return burst };
        let until = u128::from(first.as_nanos() - now.as_nanos());
        let share = until * u128::from(self.quota.permits()) / u128::from(self.period);
        let initial = u128::from(burst.saturating_sub(self.quota.permits())) + share;
        u64::try_from(initial).unwrap_or(u64::MAX).min(burst)
    }

    /// The permits in use and the time of the next refill, after all refills until `now`.
    #[inline]
    fn refilled(&self, state: &IntervalState, now: Timestamp) -> (u128, u64) {
        let now = now.as_nanos();
        if now < state.next_refill {
            return (state.used, state.next_refill);
        }
        let periods = (now - state.next_refill) / self.period + 1;
        let permits = u128::from(periods) * u128::from(self.quota.permits());
        let next_refill = state.next_refill.saturating_add(periods.saturating_mul(self.period));
        (state.used.saturating_sub(permits), next_refill)
    }

    /// The time of the last refill at or before `now`.
    #[cfg(feature = "shared")]
    pub(super) fn last_refill(&self, state: &IntervalState, now: Timestamp) -> Timestamp {
        Timestamp::from_nanos(self.refilled(state, now).1.saturating_sub(self.period))
    }

    #[inline]
    fn refill(&self, state: &mut IntervalState, now: Timestamp) {
        (state.used, state.next_refill) = self.refilled(state, now);
        if state.holds.is_some() {
            Holds::refilled(&mut state.holds, state.used);
        }
    }

    /// The time until the next refill, in ns, when this rule replaces `previous`, whose next refill
    /// is `missing` ns away.
    ///
    /// The time that has passed counts for the new period as a duration or as a share of the old
    /// period, whichever is less. Otherwise switching to a short period and back would bring the
    /// refills of a long period in the time of a short one.
    fn missing_after(&self, previous: &Self, missing: u64) -> u64 {
        let share = arith::mul_div_ceil(missing.into(), self.period.into(), previous.period.into());
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let passed = previous.period.saturating_sub(missing);
        share.max(self.period.saturating_sub(passed)).max(1)
    }

    /// The time at which `refills` more refills have come. For 0, this is `now`.
    fn after_refills(&self, next_refill: u64, now: Timestamp, refills: u128) -> Timestamp {
        match refills.checked_sub(1) {
            None => now,
            Some(more) => Timestamp::from_wide(
                more.saturating_mul(self.period.into()).saturating_add(next_refill.into()),
            ),
        }
    }
}

impl TryFrom<Quota> for IntervalRefill {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        Ok(Self { quota, period: quota.period_nanos()?, first_refill: None })
    }
}

impl Algorithm for IntervalRefill {
    type State = IntervalState;
    type Packed = Whole<IntervalState>;

    fn quota(&self) -> Quota {
        self.quota
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        Ok(Self { first_refill: self.first_refill, ..quota.try_into()? })
    }

    fn start(&self, now: Timestamp, used: u128) -> IntervalState {
        let now = now.as_nanos();
        let until = match self.first_refill.map(Timestamp::as_nanos) {
            Some(first) if first > now => first - now,
            Some(first) => self.period - (now - first) % self.period,
            None => self.period,
        };
        let next_refill = now.saturating_add(until);
        IntervalState { used, next_refill, replaced: Vec::new(), holds: None }
    }

    #[inline]
    fn ready_at(&self, state: &IntervalState, now: Timestamp, permits: u64) -> Timestamp {
        let (used, next_refill) = self.refilled(state, now);
        let wanted = used.saturating_add(permits.into());
        let short = wanted.saturating_sub(self.limit().into());
        if short == 0 || self.quota.is_unlimited() {
            return now;
        }
        self.after_refills(next_refill, now, short.div_ceil(self.quota.permits().into()))
    }

    #[inline]
    fn take(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        self.refill(state, now);
        if !self.quota.is_unlimited() {
            state.used = state.used.saturating_add(permits.into());
        }
    }

    fn hold(&self, state: &mut IntervalState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.take(state, now, permits);
        if permits > 0 && !self.quota.is_unlimited() {
            Holds::add(&mut state.holds, receipt.seq, permits.into());
        }
    }

    fn release(&self, state: &mut IntervalState, permits: u64, receipt: Receipt) {
        Holds::release(&mut state.holds, receipt.seq, permits.into());
    }

    fn undo(&self, state: &mut IntervalState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.refill(state, now);
        let given = Holds::undo(&mut state.holds, receipt.seq, permits.into());
        state.used = state.used.saturating_sub(given);
    }

    fn give_back(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        self.refill(state, now);
        state.used = state.used.saturating_sub(permits.into());
        Holds::refilled(&mut state.holds, state.used);
    }

    fn used(&self, state: &IntervalState, now: Timestamp) -> u128 {
        self.refilled(state, now).0
    }

    fn full_at(&self, state: &IntervalState, now: Timestamp) -> Timestamp {
        let (used, next_refill) = self.refilled(state, now);
        self.after_refills(next_refill, now, used.div_ceil(self.quota.permits().into()))
    }

    fn carry_over(
        &self,
        previous: &Self,
        state: &IntervalState,
        now: Timestamp,
        how: CarryOver,
    ) -> IntervalState {
        if self.quota.is_unlimited() {
            return self.start(now, 0);
        }
        let (before, next_refill) = previous.refilled(state, now);
        let mut used = arith::carry_over(before, previous.limit().into(), self.limit().into(), how);
        let missing = next_refill.saturating_sub(now.as_nanos());
        let mut until = self.missing_after(previous, missing);
        if let Some(old) = state.replaced.iter().find(|old| old.quota == self.quota) {
            // The quota is set again: the time since it was replaced does not count for it.
            until = old.missing;
            if how != CarryOver::Full {
                used = used.max(old.used);
            }
        }
        let mut new = self.start(now, used);
        if self.first_refill.is_none() {
            new.next_refill = now.as_nanos().saturating_add(until);
        }
        new.replaced.clone_from(&state.replaced);
        if self.quota != previous.quota {
            new.replaced.retain(|old| old.quota != previous.quota && old.quota != self.quota);
            new.replaced.truncate(REMEMBERED - 1);
            new.replaced.insert(0, Replaced { quota: previous.quota, used: before, missing });
        }
        if how == CarryOver::KeepUsed || self.quota == previous.quota {
            new.holds.clone_from(&state.holds);
            Holds::refilled(&mut new.holds, used);
        }
        new
    }
}
