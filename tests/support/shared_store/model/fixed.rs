//! A fixed window: a counter, and the end of the window. Full, there is no window.

use tollgate::Quota;

use super::{Mark, Range};

#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(super) quota: Quota,
    used: u64,
    end: u64,
}

impl Fixed {
    pub(super) fn full(quota: Quota) -> Self {
        Self { quota, used: 0, end: 0 }
    }

    fn period(&self) -> u64 {
        u64::try_from(self.quota.period().as_nanos()).expect("a period of this test")
    }

    /// The same at `now`.
    fn at(&self, now: u64) -> Self {
        let mut it = self.clone();
        while it.used > 0 && it.end <= now {
            it.used = it.used.saturating_sub(it.quota.permits());
            it.end += it.period();
        }
        it
    }

    /// The end of the window at whose end so many permits have come back.
    fn back_at(&self, now: u64, permits: u64) -> u64 {
        match permits.div_ceil(self.quota.permits()) {
            0 => now,
            windows => self.end + (windows - 1) * self.period(),
        }
    }

    pub(super) fn used(&self, now: u64) -> Range {
        let used = self.at(now).used;
        used..=used
    }

    pub(super) fn ready(&self, now: u64, permits: u64) -> Range {
        let it = self.at(now);
        let ready = it.back_at(now, (it.used + permits).saturating_sub(self.quota.permits()));
        ready..=ready
    }

    pub(super) fn full_at(&self, now: u64) -> Range {
        let it = self.at(now);
        let full_at = it.back_at(now, it.used);
        full_at..=full_at
    }

    pub(super) fn take(&mut self, now: u64, permits: u64) {
        *self = self.at(now);
        if self.used == 0 && permits > 0 {
            self.end = now + self.period();
        }
        self.used += permits;
    }

    pub(super) fn raise(&mut self, now: u64, permits: u64) {
        self.take(now, permits.saturating_sub(*self.used(now).start()));
    }

    pub(super) fn credit(&mut self, now: u64, permits: u64) {
        *self = self.at(now);
        self.used = self.used.saturating_sub(permits);
    }

    pub(super) fn hand_back(&mut self, now: u64, permits: u64, mark: &mut Mark, _: bool) {
        *self = self.at(now);
        if mark.at + self.period() >= self.end {
            self.used = self.used.saturating_sub(permits);
        }
    }
}
