//! The period that a limit counts over.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The period that a limit counts over, in whole seconds: from 1 second to 10 years.
///
/// ```
/// use std::time::Duration;
/// use tollgate::llm::Period;
/// assert_eq!(Period::MINUTE.as_duration(), Duration::from_secs(60));
/// assert_eq!(Period::of(Duration::from_millis(9_500)), Period::seconds(10));
/// assert_eq!(Period::seconds(300).expect("in range").to_string(), "5 minutes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(NonZeroU32);

impl Period {
    /// One second.
    pub const SECOND: Self = Self::constant(1);
    /// One minute.
    pub const MINUTE: Self = Self::constant(60);
    /// One hour.
    pub const HOUR: Self = Self::constant(3_600);
    /// One day.
    pub const DAY: Self = Self::constant(24 * 3_600);
    /// 30 days. A calendar month is up to a day longer; see
    /// [`Counted::per`](super::Counted::per) for other periods.
    pub const MONTH: Self = Self::constant(30 * 24 * 3_600);

    /// 10 years.
    const LONGEST: u32 = 10 * 365 * 24 * 3_600;

    const fn constant(secs: u32) -> Self {
        match NonZeroU32::new(secs) {
            Some(secs) => Self(secs),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// A period of this many seconds; `None` for 0 and for more than 10 years.
    #[must_use]
    pub const fn seconds(secs: u32) -> Option<Self> {
        match NonZeroU32::new(secs) {
            Some(whole) if secs <= Self::LONGEST => Some(Self(whole)),
            _ => None,
        }
    }

    /// The duration as a period, rounded up to whole seconds; `None` for zero and for more than 10
    /// years.
    ///
    /// A limit over the rounded period is stricter than the same limit over the exact one.
    #[must_use]
    pub fn of(duration: Duration) -> Option<Self> {
        let secs = duration.as_secs().checked_add(u64::from(duration.subsec_nanos() > 0))?;
        Self::seconds(u32::try_from(secs).ok()?)
    }

    /// The period as a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.as_secs() as u64)
    }

    /// The period in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0.get()
    }
}

/// `minute`, `5 minutes`, `90 seconds`: in the largest unit that divides the period.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 4] =
            [(24 * 3_600, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
        let secs = self.as_secs();
        let unit = UNITS.iter().find(|(unit, _)| secs % unit == 0);
        let (unit, name) = unit.unwrap_or(&UNITS[3]);
        match secs / unit {
            1 => f.write_str(name),
            count => write!(f, "{count} {name}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (secs, name) in [
            (1, "second"),
            (10, "10 seconds"),
            (60, "minute"),
            (90, "90 seconds"),
            (300, "5 minutes"),
            (3_600, "hour"),
            (18_000, "5 hours"),
            (86_400, "day"),
            (2_592_000, "30 days"),
        ] {
            assert_eq!(Period::seconds(secs).map(|it| it.to_string()).as_deref(), Some(name));
        }
    }

    #[test]
    fn range() {
        assert_eq!(Period::seconds(0), None);
        assert_eq!(Period::seconds(Period::LONGEST + 1), None);
        assert_eq!(Period::of(Duration::ZERO), None);
        assert_eq!(Period::of(Duration::MAX), None);
        assert_eq!(Period::of(Duration::from_nanos(1)), Some(Period::SECOND));
        assert_eq!(Period::of(Duration::from_secs(315_360_000)), Period::seconds(315_360_000));
    }
}
