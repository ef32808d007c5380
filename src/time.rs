//! Points in time, as limiters use them.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since the origin of the [`Clock`](crate::Clock) that made it.
///
/// Arithmetic saturates at both ends (0 and about 584 years), so it can't overflow. Time stamps of
/// different clocks must not be compared. To make a time stamp from another unit, add a duration to
/// the origin: `Timestamp::ZERO + Duration::from_secs(5)`.
///
/// ```
/// use std::time::Duration;
/// use tollgate::Timestamp;
///
/// let t = Timestamp::from_nanos(1_500);
/// assert_eq!(t + Duration::from_nanos(500), Timestamp::from_nanos(2_000));
/// assert_eq!(Timestamp::ZERO - t, Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// The last time stamp: 2⁶⁴ − 1 ns after the origin. As an answer, it means "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The time `nanos` nanoseconds after the origin.
    ///
    /// ```
    /// # use tollgate::Timestamp;
    /// assert_eq!(Timestamp::from_nanos(7).as_nanos(), 7);
    /// ```
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    ///
    /// ```
    /// # use tollgate::Timestamp;
    /// assert_eq!(Timestamp::ZERO.as_nanos(), 0);
    /// ```
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time `nanos` nanoseconds after the origin, or [`MAX`](Self::MAX) if it does not fit.
    pub(crate) fn from_wide(nanos: u128) -> Self {
        Self(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::from_wide(u128::from(self.0).saturating_add(duration.as_nanos()))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// The time from `earlier` to `self`; zero if `earlier` is after `self`.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
