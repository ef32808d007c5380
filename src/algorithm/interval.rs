//! Token bucket with interval refill: all permits of a period arrive at its end.

use super::{Algorithm, Whole, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A token bucket whose permits arrive all at once, at the end of each period.
///
/// Periods lie end to end from the limiter's start, or from [`aligned_to`](Self::aligned_to), and
/// keep that grid for ever; a new quota keeps the share of the period that has passed. In any window of length `w` it admits at most
/// `burst + permits * (floor(w / period) + 1)`. The state is 32 bytes.
///
/// ```
/// use std::time::Duration;
/// use tollgate::algorithm::IntervalRefill;
/// use tollgate::{Limiter, ManualClock, Quota, RateLimiter};
///
/// let clock = ManualClock::new();
/// let rule = IntervalRefill::try_from(Quota::per_minute(10))?;
/// let limiter = Limiter::builder_with(rule).clock(clock.clone()).build()?;
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

/// What an [`IntervalRefill`] remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalState {
    used: u128,
    next_refill: u64,
}

impl IntervalRefill {
    /// The same rule with refills at `first_refill` and every period from there, such as on the full
    /// minute. No refill comes before it; if it has passed, the grid it began goes on.
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

    /// Permits that are fair to start with at `now` when the first refill is less than a period
    /// away: `burst - permits`, plus the share of one refill for the time until it comes.
    ///
    /// The rule is bucket4j's `refillIntervallyAlignedWithAdaptiveInitialTokens`.
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

    /// The state with all refills until `now`.
    #[inline]
    fn refilled(&self, state: IntervalState, now: Timestamp) -> IntervalState {
        let now = now.as_nanos();
        if now < state.next_refill {
            return state;
        }
        let periods = (now - state.next_refill) / self.period + 1;
        let permits = u128::from(periods) * u128::from(self.quota.permits());
        IntervalState {
            used: state.used.saturating_sub(permits),
            next_refill: state.next_refill.saturating_add(periods.saturating_mul(self.period)),
        }
    }

    /// When `refills` more refills have come: 0 is `now`.
    fn after_refills(&self, state: IntervalState, now: Timestamp, refills: u128) -> Timestamp {
        match refills.checked_sub(1) {
            None => now,
            Some(more) => Timestamp::from_wide(
                more.saturating_mul(self.period.into()).saturating_add(state.next_refill.into()),
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
        IntervalState { used, next_refill }
    }

    #[inline]
    fn ready_at(&self, state: &IntervalState, now: Timestamp, permits: u64) -> Timestamp {
        let state = self.refilled(*state, now);
        let wanted = state.used.saturating_add(permits.into());
        let short = wanted.saturating_sub(self.limit().into());
        if short == 0 || self.quota.is_unlimited() {
            return now;
        }
        self.after_refills(state, now, short.div_ceil(self.quota.permits().into()))
    }

    #[inline]
    fn take(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        *state = self.refilled(*state, now);
        if !self.quota.is_unlimited() {
            state.used = state.used.saturating_add(permits.into());
        }
    }

    fn give_back(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        *state = self.refilled(*state, now);
        state.used = state.used.saturating_sub(permits.into());
    }

    fn used(&self, state: &IntervalState, now: Timestamp) -> u128 {
        self.refilled(*state, now).used
    }

    fn full_at(&self, state: &IntervalState, now: Timestamp) -> Timestamp {
        let state = self.refilled(*state, now);
        self.after_refills(state, now, state.used.div_ceil(self.quota.permits().into()))
    }

    /// The share of the period that has passed stays, else whoever sets a quota more often than
    /// once in a period would put the next refill off for ever.
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
        let old = previous.refilled(*state, now);
        let used = arith::carry_over(old.used, previous.limit().into(), self.limit().into(), how);
        if self.first_refill.is_some() {
            return self.start(now, used);
        }
        let until = old.next_refill.saturating_sub(now.as_nanos()).max(1);
        let until = arith::mul_div_ceil(until.into(), self.period.into(), previous.period.into());
        let next_refill = Timestamp::from_wide(until.saturating_add(now.as_nanos().into()));
        IntervalState { used, next_refill: next_refill.as_nanos() }
    }
}
