//! What was used of one quota, by exact arithmetic that is not the library's.

use std::time::Duration;

/// The permits that were used of a quota.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uses {
    /// When the quota would be unused, if all permits were taken at the moment of their use.
    unused_at: u64,
    /// The most that `unused_at` was ahead: the permits in the fullest window that ended in a use,
    /// less what comes back in that window, in nanoseconds of refill.
    pub(crate) fullest: u64,
}

impl Uses {
    /// Notes a permit that was used `now`, and takes `cost` to come back. Times must not decrease.
    ///
    /// Of all windows that end now, the fullest begins with a use. If `n` permits were used in `w`,
    /// this is `n * cost - w`, which must not be more than what the whole burst takes to come back.
    pub(crate) fn note(&mut self, now: Duration, cost: Duration) {
        let now = nanos(now);
        self.unused_at = self.unused_at.max(now) + nanos(cost);
        self.fullest = self.fullest.max(self.unused_at - now);
    }

    /// Whether a bucket of this burst would grant a permit now. If so, notes it.
    pub(crate) fn grants(&mut self, now: Duration, cost: Duration, burst: u64) -> bool {
        let used = self.unused_at.saturating_sub(nanos(now));
        let grants = used + nanos(cost) <= burst * nanos(cost);
        if grants {
            self.note(now, cost);
        }
        grants
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap()
}
