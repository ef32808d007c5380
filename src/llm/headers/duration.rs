//! Durations as Go prints them (`6m0s`, `59.70s`, `120ms`), in words (`60 seconds`), and plain
//! numbers.

use std::time::Duration;

/// 31 years in seconds. A wait of at least this is ignored, and a plain number of at least this is
/// a Unix time.
pub(in crate::llm) const TOO_LONG: u64 = 1_000_000_000;

pub(in crate::llm) const SECOND: u128 = 1_000_000_000;
pub(in crate::llm) const MILLISECOND: u128 = 1_000_000;

/// Units in nanoseconds. A unit comes before all units that it starts with, so that the longest
/// match is found first.
const UNITS: [(&str, u128); 8] = [
    ("h", 3600 * SECOND),
    ("ms", MILLISECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, micro sign
    ("μs", 1_000), // U+03BC, Greek mu
    ("ns", 1),
];

/// Units in words, in the singular, which are separated from their numbers by a space.
const WORDS: [(&str, u128); 10] = [
    ("millisecond", MILLISECOND),
    ("second", SECOND),
    ("sec", SECOND),
    ("minute", 60 * SECOND),
    ("min", 60 * SECOND),
    ("hour", 3600 * SECOND),
    ("hr", 3600 * SECOND),
    ("day", 24 * 3600 * SECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
];

/// Parses one or more numbers with a unit each, as Go's `time.Duration` prints them
/// (<https://pkg.go.dev/time#ParseDuration>), without a sign, or in words (`60 seconds`).
///
/// The result is rounded up to a nanosecond. `None` if the text has another form, or if the result
/// is 10⁹ s or more.
pub(super) fn parse(text: &str) -> Option<Duration> {
    prefix(text).filter(|(_, rest)| rest.is_empty()).map(|(duration, _)| duration)
}

/// As [`parse`], for the duration that the text begins with; also returns the rest of the text.
pub(super) fn prefix(text: &str) -> Option<(Duration, &str)> {
    let (mut rest, mut total) = (text, 0_u128);
    let mut found = false;
    while let Some((nanos, after)) = one(rest) {
        total = total.saturating_add(nanos);
        (rest, found) = (after, true);
    }
    Some((from_nanos(total).filter(|_| found)?, rest))
}

/// One number with its unit, in nanoseconds, and the rest of the text.
fn one(text: &str) -> Option<(u128, &str)> {
    let (number, after) = Decimal::take(text)?;
    if let Some(word) = after.strip_prefix(' ') {
        let length = word.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = word.split_at(length);
        let is = |unit: &str| {
            word.get(..unit.len()).is_some_and(|start| start.eq_ignore_ascii_case(unit))
                && match &word[unit.len()..] {
                    "" => true,
                    plural => plural.eq_ignore_ascii_case("s") && !unit.ends_with('s'),
                }
        };
        let (_, nanos) = WORDS.iter().find(|(unit, _)| is(unit))?;
        return Some((number.times(*nanos)?, rest));
    }
    let (unit, nanos) = UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
    Some((number.times(*nanos)?, &after[unit.len()..]))
}

/// Nanoseconds as a duration; `None` if that is 10⁹ s or more.
pub(in crate::llm) fn from_nanos(nanos: u128) -> Option<Duration> {
    let duration = u64::try_from(nanos).ok().map(Duration::from_nanos);
    duration.filter(|duration| duration.as_secs() < TOO_LONG)
}

/// A decimal number without a sign.
#[derive(Clone, Copy)]
pub(in crate::llm) struct Decimal<'a> {
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Parses a text that is just a number.
    pub(in crate::llm) fn parse(text: &'a str) -> Option<Self> {
        Self::take(text).and_then(|(number, rest)| rest.is_empty().then_some(number))
    }

    /// Splits the text into the number that it starts with, and the rest.
    pub(in crate::llm) fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let (whole, rest) = take_digits(text);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), take_digits);
        let some = !whole.is_empty() || !fraction.is_empty();
        some.then_some((Self { whole, fraction }, rest))
    }

    /// The part before the point; `None` if it exceeds 64 bits.
    pub(super) fn whole(self) -> Option<u64> {
        if self.whole.is_empty() { Some(0) } else { self.whole.parse().ok() }
    }

    /// The number times `unit`, rounded up, so that a wait is never too short. `None` if the part
    /// before the point exceeds 64 bits.
    pub(in crate::llm) fn times(self, unit: u128) -> Option<u128> {
        // 18 digits times the nanoseconds of an hour fit into 128 bits. Further digits only round
        // up.
        let (digits, tail) = self.fraction.split_at(self.fraction.len().min(18));
        let mut value: u128 = 0;
        let mut scale: u128 = 1;
        for digit in digits.bytes() {
            value = value * 10 + u128::from(digit - b'0');
            scale *= 10;
        }
        if tail.bytes().any(|digit| digit != b'0') {
            value += 1;
        }
        let whole = u128::from(self.whole()?).saturating_mul(unit);
        if value == 0 {
            return Some(whole);
        }
        Some(whole.saturating_add((value * unit).div_ceil(scale)))
    }
}

fn take_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_go_prints_them() {
        for (text, nanos) in [
            ("6m0s", 360_000_000_000),
            ("1s", 1_000_000_000),
            ("59.70s", 59_700_000_000),
            ("120ms", 120_000_000),
            ("2m59.56s", 179_560_000_000),
            ("16m17.764s", 977_764_000_000),
            ("24h0m0s", 86_400_000_000_000),
            ("0s", 0),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("12us", 12_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("1m2ms3ns", 60_002_000_003),
            // Rounded up, so that a wait is never too short.
            ("0.1ns", 1),
            ("0.0000000000000000000000000000000000000001s", 1),
            ("999999999.999999999s", 999_999_999_999_999_999),
            ("1 minute", 60_000_000_000),
            ("60 seconds", 60_000_000_000),
            ("1 s", 1_000_000_000),
            ("1.5 Hours", 5_400_000_000_000),
            ("250 ms", 250_000_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for text in [
            "", "6", "6m0", "s", ".s", ".", "m6", "-1s", "+1s", "1  s", "1 ss", "1m 2s", "1 moon",
            "1S", "1d", "1e3s", "infs", "NaNs", "1..2s", "1.2.3s", "1sm", "1µ", "1,5s", "6m0s;",
            "0x1s", "١s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in ["1000000000s", "277778h", "18446744073709551616ns", "18446744073709551615h"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"9".repeat(1000)), None);
        assert_eq!(parse(&("0".repeat(1000) + "1s")), Some(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn what_go_prints_reads_back(nanos in 0..u64::from(u32::MAX) * 200_000_000) {
            let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
            let secs = format!("{}.{:09}s", rest / 1_000_000_000, rest % 1_000_000_000);
            let text = format!("{}h{}m{secs}", minutes / 60, minutes % 60);
            prop_assert_eq!(parse(&text), Some(Duration::from_nanos(nanos)), "{}", text);
            let plain = format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
            let read = Decimal::parse(&plain).and_then(|number| number.times(1_000));
            prop_assert_eq!(read, Some(nanos.into()));
        }
    }
}
