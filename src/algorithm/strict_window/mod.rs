//! Strict sliding window: never more than the limit in any window of one period.
//!
//! A log of all grants would be exact, but its size would have no bound. Here, grants that fall
//! within 1/64 of a period share one entry, and an entry counts until its *last* grant is a period
//! old. So no grant stops counting too early, a grant counts at most 1/64 of a period too long, and
//! at most 66 entries count at any time.

#[cfg(feature = "llm")]
mod model_limits;

use std::collections::VecDeque;

use super::fixed_window::without_burst;
use super::{Algorithm, NO_RECEIPTS, Receipt, Whole, arith};
use crate::{CarryOver, Quota, QuotaError, Timestamp};

/// The number of parts into which a period is divided.
const RESOLUTION: u64 = 64;

/// Never more than `permits` in *any* window of one period, in bounded memory.
///
/// Use it for a provider that counts strictly: it admits no second burst while the first one still
/// counts. At full load it admits at least 64/65 of the limit (98.4 %), and all of it if grants are
/// further apart than 1/64 of the period. A permit may come back up to 1/64 of a period later than
/// it would with an exact log. A window has no separate burst. The state is up to 66 entries of 24
/// bytes.
///
/// **The promise.** In any window of one period, on the limiter's clock, the permits of grants that
/// are not cancelled are at most the limit, plus what [`credit`](crate::RateLimiter::credit) gave,
/// plus the limit once more for each [`reset`](crate::RateLimiter::reset) in that window. A waiter
/// that is served late counts when it is served, so the promise holds for the times at which
/// permits are really granted. (A waiter that another call has served acts on its grant when its
/// task runs again, which the limiter cannot see.) A cancelled grant stops counting. When a new
/// quota is set, each grant keeps its age, as a duration or as a share of the period, whichever is
/// less.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{ManualClock, Quota, RateLimiter, StrictLimiter};
///
/// let clock = ManualClock::new();
/// let limiter = StrictLimiter::builder(Quota::per_minute(100)).clock(clock.clone()).build()?;
/// assert!(limiter.allow_n(100));
/// clock.advance(Duration::from_nanos(59_999_999_999)); // a token bucket would have 99 permits now
/// assert!(!limiter.allow());
/// clock.advance(Duration::from_nanos(1));
/// assert!(limiter.allow_n(100));
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StrictWindow {
    quota: Quota,
    period: u64,
}

/// The state of a [`StrictWindow`]: its grants, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrictState {
    entries: VecDeque<Entry>,
    total: u128,
    /// Grants from this number on can be cancelled.
    first: u64,
    /// How long before the clock's origin the times of the entries are counted from, in ns: grants
    /// of an earlier process can be older than the clock.
    before_origin: u64,
}

impl StrictState {
    /// A time as entries count it.
    fn time(&self, at: Timestamp) -> u64 {
        at.as_nanos().saturating_add(self.before_origin)
    }
}

impl Default for StrictState {
    fn default() -> Self {
        Self { entries: VecDeque::new(), total: 0, first: NO_RECEIPTS, before_origin: 0 }
    }
}

/// Grants that fall within 1/64 of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// The time of the first grant, in ns.
    opened: u64,
    /// The time of the last grant, in ns.
    last: u64,
    permits: u64,
}

impl StrictWindow {
    /// The entries that count at `now`.
    fn alive<'a>(&self, state: &'a StrictState, now: Timestamp) -> impl Iterator<Item = &'a Entry> {
        let (period, now) = (self.period, state.time(now));
        state.entries.iter().skip_while(move |entry| entry.expired(period, now))
    }

    /// The time at which at most `wanted` permits of the entries still count.
    fn down_to(&self, state: &StrictState, now: Timestamp, wanted: u128) -> Timestamp {
        // Also counts what is no longer in use.
        if state.total <= wanted {
            return now;
        }
        let mut rest = self.used(state, now);
        let mut at = now;
        for entry in self.alive(state, now) {
            if rest <= wanted {
                break;
            }
            rest = rest.saturating_sub(entry.permits.into());
            let expires = entry.last.saturating_add(self.period);
            at = Timestamp::from_nanos(expires.saturating_sub(state.before_origin));
        }
        at
    }

    /// Adds to the newest entry, or to a new one if the newest began 1/64 of a period ago or
    /// earlier.
    fn add(&self, state: &mut StrictState, now: u64, permits: u64) {
        let width = self.period.div_ceil(RESOLUTION);
        let newest = state.entries.back_mut();
        if let Some(entry) = newest.filter(|entry| now.saturating_sub(entry.opened) < width) {
            let before = entry.permits;
            entry.permits = before.saturating_add(permits);
            state.total += u128::from(entry.permits - before);
        } else {
            state.entries.push_back(Entry { opened: now, last: now, permits });
            state.total += u128::from(permits);
        }
    }

    /// Merges entries that began within 1/64 of a period, so that their number stays bounded.
    fn merge(&self, entries: &mut VecDeque<Entry>) {
        let width = self.period.div_ceil(RESOLUTION);
        let mut merged: VecDeque<Entry> = VecDeque::with_capacity(entries.len());
        for entry in entries.drain(..) {
            match merged.back_mut().filter(|open| entry.opened.saturating_sub(open.opened) < width)
            {
                Some(open) => {
                    open.last = open.last.max(entry.last);
                    open.permits = open.permits.saturating_add(entry.permits);
                }
                None => merged.push_back(entry),
            }
        }
        *entries = merged;
    }

    fn expire(&self, state: &mut StrictState, now: Timestamp) {
        let now = state.time(now);
        while let Some(entry) =
            state.entries.front().filter(|entry| entry.expired(self.period, now))
        {
            state.total -= u128::from(entry.permits);
            state.entries.pop_front();
        }
    }
}

impl Entry {
    fn expired(&self, period: u64, now: u64) -> bool {
        now.saturating_sub(self.last) >= period
    }
}

impl TryFrom<Quota> for StrictWindow {
    type Error = QuotaError;

    fn try_from(quota: Quota) -> Result<Self, QuotaError> {
        let quota = without_burst(quota)?;
        Ok(Self { quota, period: quota.period_nanos()? })
    }
}

impl Algorithm for StrictWindow {
    type State = StrictState;
    type Packed = Whole<StrictState>;

    fn catches_up(&self) -> bool {
        false
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    fn with_quota(&self, quota: Quota) -> Result<Self, QuotaError> {
        quota.try_into()
    }

    fn start(&self, now: Timestamp, used: u128) -> StrictState {
        let mut state = StrictState::default();
        if used > 0 {
            self.take(&mut state, now, u64::try_from(used).unwrap_or(u64::MAX));
        }
        state
    }

    fn restart(&self, state: &mut StrictState, now: Timestamp) {
        self.expire(state, now);
    }

    fn ready_at(&self, state: &StrictState, now: Timestamp, permits: u64) -> Timestamp {
        if self.quota.is_unlimited() {
            return now;
        }
        match self.limit().checked_sub(permits) {
            Some(room) => self.down_to(state, now, room.into()),
            None => Timestamp::MAX,
        }
    }

    fn take(&self, state: &mut StrictState, now: Timestamp, permits: u64) {
        self.expire(state, now);
        if permits == 0 || self.quota.is_unlimited() {
            return;
        }
        let now = state.time(now);
        self.add(state, now, permits);
        if let Some(entry) = state.entries.back_mut() {
            entry.last = entry.last.max(now);
        }
    }

    /// Grants keep their age. Otherwise, setting a quota more than once per period would keep them
    /// from expiring for ever. A long period must not pass in the time of a short one, so the age
    /// counts as a duration or as a share of the period, whichever is less.
    fn carry_over(
        &self,
        previous: &Self,
        state: &StrictState,
        now: Timestamp,
        how: CarryOver,
    ) -> StrictState {
        let mut state = state.clone();
        previous.expire(&mut state, now);
        let time = state.time(now);
        let aged = |at: u64| {
            let age = u128::from(time.saturating_sub(at));
            let share = age * u128::from(self.period) / u128::from(previous.period);
            time.saturating_sub(u64::try_from(share.min(age)).unwrap_or(u64::MAX))
        };
        if self.period != previous.period {
            for entry in &mut state.entries {
                (entry.opened, entry.last) = (aged(entry.opened), aged(entry.last));
            }
            self.merge(&mut state.entries);
        }
        let same = self.quota == previous.quota;
        if !same && (how != CarryOver::KeepUsed || self.period != previous.period) {
            state.first = NO_RECEIPTS;
        }
        let (old, new) = (previous.limit(), self.limit());
        match how {
            _ if self.quota.is_unlimited() => return self.start(now, 0),
            CarryOver::Full => return self.start(now, 0),
            CarryOver::Proportional => {
                // Running sums are scaled, beginning with the newest grant, so that the total is
                // rounded only once.
                let (mut sum, mut scaled) = (0, 0);
                for entry in state.entries.iter_mut().rev() {
                    sum += u128::from(entry.permits);
                    let after = arith::carry_over(sum, old.into(), new.into(), how);
                    entry.permits = u64::try_from(after - scaled).unwrap_or(u64::MAX);
                    scaled += u128::from(entry.permits);
                }
                state.total = scaled;
            }
            CarryOver::Keep | CarryOver::AddDifference if new < old => {
                self.give_back(&mut state, now, old - new);
            }
            CarryOver::Keep if new > old => self.add(&mut state, time, new - old),
            CarryOver::Keep | CarryOver::AddDifference | CarryOver::KeepUsed => {}
        }
        state
    }

    fn hold(&self, state: &mut StrictState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.take(state, now, permits);
        state.first = state.first.min(receipt.seq);
    }

    fn undo(&self, state: &mut StrictState, now: Timestamp, permits: u64, receipt: Receipt) {
        self.expire(state, now);
        if receipt.seq < state.first {
            return;
        }
        let at = state.time(receipt.at);
        // The grant was counted in the last entry that was opened at or before `at`.
        let index = state.entries.partition_point(|entry| entry.opened <= at);
        let entry = index.checked_sub(1).and_then(|index| state.entries.get_mut(index));
        if let Some(entry) = entry.filter(|entry| at <= entry.last) {
            let given = permits.min(entry.permits);
            entry.permits -= given;
            state.total -= u128::from(given);
        }
    }

    fn give_back(&self, state: &mut StrictState, now: Timestamp, permits: u64) {
        self.expire(state, now);
        // These permits may belong to any grant, so no grant may be cancelled and give them back
        // again.
        state.first = NO_RECEIPTS;
        // The oldest entries are lowered first. What remains then counts longest, so this never
        // admits too much.
        let mut rest = permits;
        while let Some(entry) = state.entries.front_mut().filter(|_| rest > 0) {
            let given = rest.min(entry.permits);
            entry.permits -= given;
            rest -= given;
            state.total -= u128::from(given);
            if entry.permits == 0 {
                state.entries.pop_front();
            }
        }
        if state.entries.is_empty() {
            // Nothing is in use, so no earlier grant can give anything back.
            state.first = NO_RECEIPTS;
        }
    }

    fn used(&self, state: &StrictState, now: Timestamp) -> u128 {
        let now = state.time(now);
        let expired: u128 = state
            .entries
            .iter()
            .take_while(|entry| entry.expired(self.period, now))
            .map(|entry| u128::from(entry.permits))
            .sum();
        state.total - expired
    }

    fn full_at(&self, state: &StrictState, now: Timestamp) -> Timestamp {
        self.down_to(state, now, 0)
    }
}
