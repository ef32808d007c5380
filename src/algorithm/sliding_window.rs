//! Sliding window with two counters.

use super::fixed_window::without_burst;
use super::{Algorithm, NO_RECEIPTS, Receipt, Whole, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// A counter for this window and one for the last window. The last window's counter is weighted
/// with the share of that window that still lies within one period, so there is no jump between
/// windows.
///
/// The rule assumes that the permits of the last window were spread evenly over it. Where they were
/// not, up to twice the limit can pass within one period; where that matters, use
/// [`StrictWindow`](super::StrictWindow). A window has no separate burst. The state is 32 bytes.
///
/// **The promise.** At each decision, on the limiter's clock, the permits of this window plus the
/// weighted permits of the last window, of grants that are not cancelled, are at most the limit. So
/// in any window of one period at most twice the limit passes. What
/// [`credit`](crate::RateLimiter::credit) gave comes on top, and a
/// [`reset`](crate::RateLimiter::reset) sets both counters to 0. A cancelled grant is subtracted
/// from the window that it was counted in, as long as that window still counts. A waiter that is
/// served late counts when it is served, not when its task acts on the grant. A new quota with the
/// same period keeps the windows as they are. A new quota with another period keeps the part of the
/// window that has passed, as a duration or as a share of the period, whichever is less.
///
/// Source: Cloudflare, "How we built rate limiting capable of scaling to millions of domains"
/// (<https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>).
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, SlidingWindowLimiter};
///
/// let clock = ManualClock::new();
/// let limiter =
///     SlidingWindowLimiter::builder(Quota::per_minute(100)).clock(clock.clone()).build()?;
/// assert!(limiter.allow_n(100));
/// clock.advance(Duration::from_secs(75)); // in the next window, 75 permits still count
/// assert_eq!(limiter.usage().remaining, 25);
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SlidingWindow {
    quota: Quota,
    period: u64,
}

/// The state of a [`SlidingWindow`]: the start of the window and two counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingState {
    window: Timestamp,
    current: u64,
    previous: u64,
    /// Grants from this number on can be cancelled.
    first: u64,
}

impl SlidingWindow {
    /// The state with the window that contains `now` as the current one.
    #[inline]
    fn rolled(&self, state: SlidingState, now: Timestamp) -> SlidingState {
        let elapsed = now.as_nanos().saturating_sub(state.window.as_nanos());
        if elapsed < self.period {
            return state;
        }
        let windows = elapsed / self.period;
        let start = state.window.as_nanos() + windows * self.period;
        SlidingState {
            window: Timestamp::from_nanos(start),
            current: 0,
            previous: if windows == 1 { state.current } else { 0 },
            first: state.first,
        }
    }

    /// The time into a window, in ns, from which on at most `room` of the `count` permits of the
    /// window before still count.
    fn faded_to(&self, count: u64, room: u64) -> u64 {
        if count <= room {
            return 0;
        }
        // count * (period - e) <= room * period
        let kept = u128::from(room) * u128::from(self.period) / u128::from(count);
        self.period - u64::try_from(kept).unwrap_or(self.period)
    }
}

impl TryFrom<Quota> for SlidingWindow {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        let quota = without_burst(quota)?;
        Ok(Self { quota, period: quota.period_nanos()? })
    }
}

impl Algorithm for SlidingWindow {
    type State = SlidingState;
    type Packed = Whole<SlidingState>;

    fn catches_up(&self) -> bool {
        false
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        quota.try_into()
    }

    fn start(&self, now: Timestamp, used: u128) -> SlidingState {
        let current = u64::try_from(used).unwrap_or(u64::MAX);
        SlidingState { window: now, current, previous: 0, first: NO_RECEIPTS }
    }

    fn ready_at(&self, state: &SlidingState, now: Timestamp, permits: u64) -> Timestamp {
        if self.quota.is_unlimited() {
            return now;
        }
        let Some(room) = self.limit().checked_sub(permits) else { return Timestamp::MAX };
        let state = self.rolled(*state, now);
        // During this window, the counter of the last window fades. During the next one, the
        // counter of this window does. After that, nothing counts any more.
        let (window, faded) = match room.checked_sub(state.current) {
            Some(room) => (0, self.faded_to(state.previous, room)),
            None => (1, self.faded_to(state.current, room)),
        };
        let start = u128::from(state.window.as_nanos()) + window * u128::from(self.period);
        Timestamp::from_wide(start + u128::from(faded)).max(now)
    }

    /// Each counter is carried over together with its window. Otherwise, setting a quota more than
    /// once per period would keep the counters from fading for ever.
    fn carry_over(
        &self,
        previous: &Self,
        state: &SlidingState,
        now: Timestamp,
        how: CarryOver,
    ) -> SlidingState {
        let mut state = previous.rolled(*state, now);
        let (old, new) = (previous.limit(), self.limit());
        let narrow = |count: u128| u64::try_from(count).unwrap_or(u64::MAX);
        match how {
            _ if self.quota.is_unlimited() => return self.start(now, 0),
            CarryOver::Full => return self.start(now, 0),
            CarryOver::Proportional => {
                let scale = |count| arith::carry_over(count, old.into(), new.into(), how);
                let current = scale(state.current.into());
                let both = scale(u128::from(state.current) + u128::from(state.previous));
                (state.current, state.previous) = (narrow(current), narrow(both - current));
            }
            CarryOver::Keep | CarryOver::AddDifference if new < old => {
                // The older counter is lowered first, because what remains then counts longest.
                let elapsed = now.as_nanos().saturating_sub(state.window.as_nanos());
                let (left, period) =
                    (u128::from(previous.period - elapsed), u128::from(previous.period));
                let fading = narrow(arith::mul_div_ceil(state.previous.into(), left, period));
                state.previous = match fading.checked_sub(old - new) {
                    Some(kept) => {
                        state.previous.min(narrow(u128::from(kept).saturating_mul(period) / left))
                    }
                    None => 0,
                };
                state.current = state.current.saturating_sub((old - new).saturating_sub(fading));
            }
            CarryOver::Keep => state.current = state.current.saturating_add(new - old),
            CarryOver::AddDifference | CarryOver::KeepUsed => {}
        }
        let elapsed = now.as_nanos().saturating_sub(state.window.as_nanos());
        let share = u128::from(elapsed) * u128::from(self.period) / u128::from(previous.period);
        // A long period must not pass in the time of a short period.
        let window = now.as_nanos().saturating_sub(narrow(share).min(elapsed));
        let same = self.quota == previous.quota;
        let stays = same || how == CarryOver::KeepUsed && self.period == previous.period;
        let first = if stays { state.first } else { NO_RECEIPTS };
        SlidingState { window: Timestamp::from_nanos(window), first, ..state }
    }

    fn take(&self, state: &mut SlidingState, now: Timestamp, permits: u64) {
        *state = self.rolled(*state, now);
        if !self.quota.is_unlimited() {
            state.current = state.current.saturating_add(permits);
        }
    }

    fn hold(&self, state: &mut SlidingState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.take(state, now, permits);
        state.first = state.first.min(receipt.seq);
    }

    fn undo(&self, state: &mut SlidingState, now: Timestamp, permits: u64, receipt: Receipt) {
        *state = self.rolled(*state, now);
        if receipt.seq < state.first {
            return;
        }
        let at = receipt.at.as_nanos();
        if at >= state.window.as_nanos() {
            state.current = state.current.saturating_sub(permits);
        } else if at.saturating_add(self.period) >= state.window.as_nanos() {
            state.previous = state.previous.saturating_sub(permits);
        }
    }

    fn give_back(&self, state: &mut SlidingState, now: Timestamp, permits: u64) {
        *state = self.rolled(*state, now);
        // These permits may belong to any grant, so no grant may be cancelled and give them back
        // again.
        state.first = NO_RECEIPTS;
        let rest = permits.saturating_sub(state.current);
        state.current = state.current.saturating_sub(permits);
        state.previous = state.previous.saturating_sub(rest);
    }

    fn used(&self, state: &SlidingState, now: Timestamp) -> u128 {
        let state = self.rolled(*state, now);
        let left =
            self.period - now.as_nanos().saturating_sub(state.window.as_nanos()).min(self.period);
        u128::from(state.current)
            + arith::mul_div_ceil(state.previous.into(), left.into(), self.period.into())
    }

    fn full_at(&self, state: &SlidingState, now: Timestamp) -> Timestamp {
        let state = self.rolled(*state, now);
        let windows = match (state.current, state.previous) {
            (0, 0) => return now,
            (0, _) => 1,
            _ => 2,
        };
        Timestamp::from_wide(
            u128::from(state.window.as_nanos()) + windows * u128::from(self.period),
        )
    }
}
