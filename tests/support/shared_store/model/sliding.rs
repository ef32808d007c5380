//! A sliding window: two counters, of which the older one fades. Full, there is no window.

use tollgate::Quota;

use super::{Mark, Range};

#[derive(Clone, Debug)]
pub(crate) struct Sliding {
    pub(super) quota: Quota,
    start: u64,
    current: u64,
    previous: u64,
}

impl Sliding {
    pub(super) fn full(quota: Quota) -> Self {
        Self { quota, start: 0, current: 0, previous: 0 }
    }

    fn period(&self) -> u64 {
        u64::try_from(self.quota.period().as_nanos()).expect("a period of this test")
    }

    fn is_full(&self) -> bool {
        (self.current, self.previous) == (0, 0)
    }

    /// The same at `now`.
    fn at(&self, now: u64) -> Self {
        let mut it = self.clone();
        while !it.is_full() && it.start + it.period() <= now {
            it.start += it.period();
            (it.previous, it.current) = (it.current, 0);
        }
        it
    }

    /// Permits in use at a time in the window of this state.
    fn used_at(&self, now: u64) -> u64 {
        if self.is_full() {
            return 0;
        }
        let left = u128::from(self.start + self.period() - now);
        let faded = (u128::from(self.previous) * left).div_ceil(self.period().into());
        self.current + u64::try_from(faded).expect("few permits")
    }

    pub(super) fn used(&self, now: u64) -> Range {
        let used = self.at(now).used_at(now);
        used..=used
    }

    /// By bisection: what is in use only becomes less.
    pub(super) fn ready(&self, now: u64, permits: u64) -> Range {
        let it = self.at(now);
        let fits = |time| it.at(time).used_at(time) + permits <= self.quota.permits();
        if fits(now) {
            return now..=now;
        }
        let (mut too_early, mut ready) = (now, it.start + 2 * it.period());
        while ready - too_early > 1 {
            let middle = too_early + (ready - too_early) / 2;
            if fits(middle) {
                ready = middle;
            } else {
                too_early = middle;
            }
        }
        ready..=ready
    }

    pub(super) fn full_at(&self, now: u64) -> Range {
        let it = self.at(now);
        let full_at = match (it.current, it.previous) {
            (0, 0) => now,
            (0, _) => it.start + it.period(),
            _ => it.start + 2 * it.period(),
        };
        full_at..=full_at
    }

    pub(super) fn take(&mut self, now: u64, permits: u64) {
        *self = self.at(now);
        if self.is_full() {
            self.start = now;
        }
        self.current += permits;
    }

    pub(super) fn raise(&mut self, now: u64, permits: u64) {
        self.take(now, permits.saturating_sub(*self.used(now).start()));
    }

    pub(super) fn credit(&mut self, now: u64, permits: u64) {
        *self = self.at(now);
        let rest = permits.saturating_sub(self.current);
        self.current = self.current.saturating_sub(permits);
        self.previous = self.previous.saturating_sub(rest);
    }

    pub(super) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, _: bool) {
        *self = self.at(now);
        if mark.at >= self.start {
            self.current = self.current.saturating_sub(permits);
        } else if mark.at + self.period() >= self.start {
            self.previous = self.previous.saturating_sub(permits);
        }
    }
}
