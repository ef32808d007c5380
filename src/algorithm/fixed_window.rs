//! Fixed window: a counter that starts again at 0 in each period.

use super::interval::IntervalState;
use super::{Algorithm, IntervalRefill, Receipt, Whole};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A counter for each period: at most `permits` in each period, and all of them may come at once.
///
/// Windows follow each other without gaps, from the start of the limiter or from
/// [`aligned_to`](Self::aligned_to). Up to twice the limit can pass in a period that straddles two
/// windows; where that matters, use [`StrictWindow`](super::StrictWindow). A window has no separate
/// burst. The state is 64 bytes.
///
/// **The promise.** In each window, on the limiter's clock, the permits of grants that are not
/// cancelled are at most the limit, plus what [`credit`](crate::RateLimiter::credit) gave in that
/// window, plus the limit once more for each [`reset`](crate::RateLimiter::reset) in it. A
/// cancelled grant gives permits back to its own window only. When a quota with another period is
/// set, the time since the window began counts as a duration, not as a share of the period.
///
/// The arithmetic is that of an [`IntervalRefill`] whose burst is one refill.
///
/// ```
/// use tollgate::{FixedWindowLimiter, Quota, RateLimiter};
/// let limiter = FixedWindowLimiter::new(Quota::per_minute(100))?;
/// assert!(limiter.allow_n(100));
/// assert!(!limiter.allow());
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FixedWindow(IntervalRefill);

impl FixedWindow {
    /// The same rule with a window that ends at `border`, such as on the full hour.
    ///
    /// The first window lasts until `border`, however far away that is. If `border` is in the past,
    /// all windows end a whole number of periods after it.
    ///
    /// ```
    /// use tollgate::algorithm::{Algorithm, FixedWindow};
    /// use tollgate::{Quota, Timestamp};
    ///
    /// let at = |secs: u64| Timestamp::from_nanos(secs * 1_000_000_000);
    /// let rule = FixedWindow::try_from(Quota::per_minute(1))?.aligned_to(at(60));
    /// let used_up = rule.start(at(59), 1);
    /// assert_eq!(rule.ready_at(&used_up, at(59), 1), at(60));
    /// # Ok::<(), tollgate::QuotaError>(())
    /// ```
    #[must_use]
    pub fn aligned_to(self, border: Timestamp) -> Self {
        Self(self.0.aligned_to(border))
    }

    /// The time at which the window that `now` is in began.
    #[cfg(feature = "shared")]
    pub(crate) fn window_began(&self, state: &IntervalState, now: Timestamp) -> Timestamp {
        self.0.last_refill(state, now)
    }
}

/// Accepts a quota for a window: its burst must be equal to its permits.
pub(super) fn without_burst(quota: Quota) -> Result<Quota, QuotaError> {
    quota.validate()?;
    if quota.burst_size() == quota.permits() {
        Ok(quota)
    } else {
        Err(QuotaError::BurstUnsupported)
    }
}

impl TryFrom<Quota> for FixedWindow {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        Ok(Self(without_burst(quota)?.try_into()?))
    }
}

impl Algorithm for FixedWindow {
    type State = IntervalState;
    type Packed = Whole<IntervalState>;

    fn quota(&self) -> Quota {
        self.0.quota()
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        Ok(Self(self.0.with_quota(without_burst(quota)?)?))
    }

    fn start(&self, now: Timestamp, used: u128) -> IntervalState {
        self.0.start(now, used)
    }

    #[inline]
    fn ready_at(&self, state: &IntervalState, now: Timestamp, permits: u64) -> Timestamp {
        self.0.ready_at(state, now, permits)
    }

    #[inline]
    fn take(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        self.0.take(state, now, permits);
    }

    fn hold(&self, state: &mut IntervalState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.0.hold(state, now, permits, receipt);
    }

    fn release(&self, state: &mut IntervalState, permits: u64, receipt: Receipt) {
        self.0.release(state, permits, receipt);
    }

    fn undo(&self, state: &mut IntervalState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.0.undo(state, now, permits, receipt);
    }

    fn give_back(&self, state: &mut IntervalState, now: Timestamp, permits: u64) {
        self.0.give_back(state, now, permits);
    }

    fn used(&self, state: &IntervalState, now: Timestamp) -> u128 {
        self.0.used(state, now)
    }

    fn full_at(&self, state: &IntervalState, now: Timestamp) -> Timestamp {
        self.0.full_at(state, now)
    }

    fn carry_over(
        &self,
        previous: &Self,
        state: &IntervalState,
        now: Timestamp,
        how: CarryOver,
    ) -> IntervalState {
        self.0.carry_over(&previous.0, state, now, how)
    }
}
