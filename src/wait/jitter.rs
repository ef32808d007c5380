//! A random extra delay for waiters.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A random extra delay for requests that had to wait, so that many processes that wait for one
/// service do not act at the same instant.
///
/// The permits are taken when the waiter is due, and the wait ends later by an evenly distributed
/// time below the bound, but never after its deadline.
///
/// ```
/// use std::time::Duration;
/// use tollgate::{Jitter, Quota, TokenBucket};
///
/// let limiter = TokenBucket::builder(Quota::per_second(50))
///     .jitter(Jitter::up_to(Duration::from_millis(20)))
///     .build()?;
/// # Ok::<(), tollgate::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jitter {
    bound: Duration,
}

impl Jitter {
    /// A delay from zero to just below `bound`. A zero bound means no delay.
    ///
    /// ```
    /// # use std::time::Duration; use tollgate::Jitter;
    /// let jitter = Jitter::up_to(Duration::from_millis(20));
    /// ```
    #[must_use]
    pub const fn up_to(bound: Duration) -> Self {
        Self { bound }
    }

    /// A random delay.
    pub(crate) fn draw(self) -> Duration {
        if self.bound.is_zero() {
            return Duration::ZERO;
        }
        // std seeds each `RandomState` differently. This is random enough, and needs no dependency.
        let random = RandomState::new().build_hasher().finish();
        let bound = u64::try_from(self.bound.as_nanos()).unwrap_or(u64::MAX);
        let nanos = (u128::from(random) * u128::from(bound)) >> 64;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_below_its_bound_and_varies() {
        let jitter = Jitter::up_to(Duration::from_secs(1));
        let drawn: Vec<Duration> = (0..1000).map(|_| jitter.draw()).collect();
        assert!(drawn.iter().all(|delay| *delay < Duration::from_secs(1)));
        let late = drawn.iter().filter(|delay| **delay >= Duration::from_millis(500)).count();
        assert!((300..700).contains(&late), "{late} of 1000 in the upper half");
        assert_eq!(Jitter::default().draw(), Duration::ZERO);
    }
}
