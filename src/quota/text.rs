//! Quotas as text: `"600/min burst 100"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Quota;
use crate::QuotaError;

/// Units from the longest: what is printed, nanoseconds, other spellings that parse.
const UNITS: [(&str, u128, &[&str]); 7] = [
    ("day", 86_400_000_000_000, &["d", "days"]),
    ("h", 3_600_000_000_000, &["hr", "hour", "hours"]),
    ("min", 60_000_000_000, &["m", "minute", "minutes"]),
    ("s", 1_000_000_000, &["sec", "second", "seconds"]),
    ("ms", 1_000_000, &["millisecond", "milliseconds"]),
    ("us", 1_000, &["µs", "microsecond", "microseconds"]),
    ("ns", 1, &["nanosecond", "nanoseconds"]),
];

/// Why a text is not a [`Quota`].
///
/// ```
/// use tollgate::{ParseQuotaError, Quota};
/// assert!(matches!("10/fortnight".parse::<Quota>(), Err(ParseQuotaError::Period { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseQuotaError {
    /// No `/` between permits and period.
    #[error("expected `<permits>/<period>`, such as `600/min burst 100`, or `unlimited`")]
    Form,
    /// The permits are no whole number, or do not fit 64 bits.
    #[error("`{text}` is not a whole number of permits")]
    Permits {
        /// What stands there.
        text: String,
    },
    /// The period has an unknown unit or an unusable count.
    #[error(
        "`{text}` is not a period: write s, min, h, day, ms, us or ns, with a count before it if it is not 1"
    )]
    Period {
        /// What stands there.
        text: String,
    },
    /// What follows the period is not `burst <n>`.
    #[error("`{text}` is not a burst: write `burst <permits>` or leave it out")]
    Burst {
        /// What stands there.
        text: String,
    },
    /// Well formed, but no limiter can be built from it.
    #[error(transparent)]
    Invalid(#[from] QuotaError),
}

impl FromStr for Quota {
    type Err = ParseQuotaError;

    /// Reads `<permits>/<period>[ burst <permits>]` or `unlimited`; a period is a unit with an
    /// optional count: `s`, `3s`, `250ms`, `min`, `h`, `day`. White space may stand around each
    /// part.
    fn from_str(text: &str) -> Result<Self, ParseQuotaError> {
        let text = text.trim();
        if text == "unlimited" {
            return Ok(Self::unlimited());
        }
        let (permits, rest) = text.split_once('/').ok_or(ParseQuotaError::Form)?;
        let permits = parse_count(permits)
            .ok_or_else(|| ParseQuotaError::Permits { text: permits.trim().to_owned() })?;
        let rest = rest.trim();
        let (period, burst) = match rest.find("burst") {
            // A word of its own.
            Some(at) if rest[..at].ends_with(char::is_whitespace) => {
                (rest[..at].trim(), Some(&rest[at..]))
            }
            _ => (rest, None),
        };
        let period = parse_period(period)
            .ok_or_else(|| ParseQuotaError::Period { text: period.to_owned() })?;
        let mut quota = Self::per(permits, period);
        if let Some(burst) = burst {
            let size = burst["burst".len()..].trim();
            let size = parse_count(size)
                .ok_or_else(|| ParseQuotaError::Burst { text: burst.to_owned() })?;
            quota = quota.burst(size);
        }
        quota.validate()?;
        Ok(quota)
    }
}

fn parse_count(text: &str) -> Option<u64> {
    let text = text.trim();
    // `u64::from_str` takes a leading `+`, which has no place here.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

fn parse_period(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let count: u128 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let unit = unit.trim();
    let (_, nanos, _) =
        UNITS.iter().find(|(name, _, others)| *name == unit || others.contains(&unit))?;
    let nanos = count.checked_mul(*nanos)?;
    let secs = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(secs, u32::try_from(nanos % 1_000_000_000).ok()?))
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_unlimited() {
            return f.write_str("unlimited");
        }
        let period = self.period().as_nanos();
        let (unit, nanos, _) = UNITS
            .iter()
            .find(|unit| period != 0 && period.is_multiple_of(unit.1))
            .unwrap_or(&UNITS[6]);
        write!(f, "{}/", self.permits())?;
        let count = period / nanos;
        if count != 1 {
            write!(f, "{count}")?;
        }
        f.write_str(unit)?;
        if self.burst_size() != self.permits() {
            write!(f, " burst {}", self.burst_size())?;
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl serde::de::Visitor<'_> for Text {
            type Value = Quota;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quota such as \"600/min burst 100\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quota, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}
