//! The forms of header values: counts, bounds, waits, periods, dates.

use std::time::{Duration, SystemTime};

use super::duration::{self, Decimal, MILLISECOND, SECOND, TOO_LONG};
use super::{Bound, date};
use crate::llm::Period;

/// Why a value is ignored.
pub(super) type IgnoreReason = &'static str;

/// No valid value is longer: a list of policies of an IETF draft takes most.
const LONGEST: usize = 512;

/// A Unix time of at least this is in milliseconds (from 1973 on), a smaller one in seconds (until
/// 5138).
const UNIX_MILLIS: u64 = 100_000_000_000;

/// Servers without a limit send numbers of about this size (OpenRouter: 9223372036854767616).
const NO_LIMIT: u64 = 1 << 62;

/// Unix times in milliseconds of at least this (the year 5138) are ignored.
const TOO_LARGE: u64 = 100_000_000_000_000;

/// The value as text, without the white space around it.
pub(super) fn text(value: &[u8]) -> Result<&str, IgnoreReason> {
    let value = value.trim_ascii();
    match value.len() {
        0 => Err("empty"),
        1..=LONGEST => std::str::from_utf8(value).map_err(|_| "not text"),
        _ => Err("longer than any valid value"),
    }
}

/// A whole number without a sign. (`u64::from_str` would accept a `+`.)
pub(super) fn count(text: &str) -> Result<u64, IgnoreReason> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| "more than 64 bits")
    } else if text.starts_with('-') {
        Err("negative")
    } else {
        Err("not a whole number")
    }
}

/// A limit. −1 and numbers from 2⁶² on mean that the server gives no number.
pub(super) fn bound(text: &str) -> Result<Bound, IgnoreReason> {
    if text == "-1" {
        return Ok(Bound::Unlimited);
    }
    Ok(match count(text)? {
        number @ ..NO_LIMIT => Bound::Of(number),
        _ => Bound::Unlimited,
    })
}

/// The items of a list, with their parameters: several lines of a header may have been joined by
/// commas (RFC 9110, section 5.3), and parameters follow a semicolon.
///
/// # Errors
///
/// `1,000` is one number that is written for readers, and neither a list nor valid.
pub(super) fn items(text: &str) -> Result<impl Iterator<Item = (&str, &str)>, IgnoreReason> {
    let is_group = |item: &str| item.len() == 3 && item.starts_with('0');
    if text.split(',').skip(1).any(is_group) {
        return Err("a number with separators");
    }
    Ok(text.split(',').map(|item| {
        let (value, parameters) = item.split_once(';').unwrap_or((item, ""));
        (value.trim_ascii(), parameters)
    }))
}

/// The window of a policy in seconds, from its parameters, such as `w=60`.
pub(super) fn window(parameters: &str) -> Option<Period> {
    let window = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim_ascii() == "w").then_some(value.trim_ascii())
    });
    Period::seconds(u32::try_from(count(window?).ok()?).ok()?)
}

/// A wait, relative or absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    After(Duration),
    At(SystemTime),
}

/// A wait in any of the forms: a duration (`6m0s`), seconds, a Unix time, RFC 3339, an HTTP date.
/// Parameters are ignored, and of several waits the longest is taken.
pub(super) fn waits(text: &str) -> Result<Waits, IgnoreReason> {
    let mut waits = Waits::default();
    if let Ok(one) = when(text) {
        waits.extend(one);
        return Ok(waits);
    }
    // A date may have a comma in it.
    let whole = text.split_once(';').map_or(text, |(value, _)| value.trim_ascii());
    match when(whole) {
        Ok(one) => waits.extend(one),
        Err(why) if !text.contains(',') => return Err(why),
        Err(_) => {
            for (item, _) in items(text)? {
                waits.extend(when(item)?);
            }
        }
    }
    Ok(waits)
}

/// The longest of several waits. Which one that is depends on the response's date, so both forms
/// are kept until that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) after: Option<Duration>,
    pub(super) at: Option<SystemTime>,
}

impl Waits {
    pub(super) fn extend(&mut self, when: When) {
        match when {
            When::After(wait) => self.after = self.after.max(Some(wait)),
            When::At(at) => self.at = self.at.max(Some(at)),
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        (self.after, self.at) = (self.after.max(other.after), self.at.max(other.at));
    }

    /// The wait from `now` on; zero if it is over already.
    pub(super) fn from(self, now: SystemTime) -> Option<Duration> {
        let until = self.at.map(|at| at.duration_since(now).unwrap_or_default());
        self.after.max(until)
    }
}

fn when(text: &str) -> Result<When, IgnoreReason> {
    if let Some(number) = Decimal::parse(text) {
        let when = match number.whole() {
            Some(..TOO_LONG) => {
                number.times(SECOND).and_then(duration::from_nanos).map(When::After)
            }
            Some(secs @ ..UNIX_MILLIS) => unix(Duration::from_secs(secs)),
            Some(millis @ ..TOO_LARGE) => unix(Duration::from_millis(millis)),
            _ => None,
        };
        return when.ok_or("too large");
    }
    let when = duration::parse(text).map(When::After);
    when.or_else(|| date::parse(text).map(When::At)).ok_or("neither a wait nor a date")
}

fn unix(since: Duration) -> Option<When> {
    SystemTime::UNIX_EPOCH.checked_add(since).map(When::At)
}

/// A number of milliseconds.
pub(super) fn millis(text: &str) -> Result<Duration, IgnoreReason> {
    let number = Decimal::parse(text).ok_or("not a number")?;
    number.times(MILLISECOND).and_then(duration::from_nanos).ok_or("too large")
}

/// A period: a duration or a number of seconds, and not zero.
pub(super) fn period(text: &str) -> Result<Period, IgnoreReason> {
    let number = Decimal::parse(text).and_then(|number| number.times(SECOND));
    let period = number.map_or_else(|| duration::parse(text), duration::from_nanos);
    period.and_then(Period::of).ok_or("not a period")
}

/// An HTTP date.
pub(super) fn date(text: &str) -> Result<SystemTime, IgnoreReason> {
    date::http_date(text).ok_or("not an HTTP date")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_755_780_059;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn counts_and_bounds() {
        assert_eq!(count("0"), Ok(0));
        assert_eq!(count("18446744073709551615"), Ok(u64::MAX));
        assert_eq!(count("18446744073709551616"), Err("more than 64 bits"));
        for text in ["-1", "-0", "-5"] {
            assert_eq!(count(text), Err("negative"), "{text}");
        }
        for text in ["+1", "1.0", "1,000", "1_000", "1e3", "NaN", "inf", "0x10", "60 60", "١"] {
            assert_eq!(count(text), Err("not a whole number"), "{text}");
        }
        assert_eq!(bound("-1"), Ok(Bound::Unlimited));
        assert_eq!(bound("0"), Ok(Bound::Of(0)));
        assert_eq!(bound("60"), Ok(Bound::Of(60)));
        assert_eq!(bound("-2"), Err("negative"));
    }

    #[test]
    fn waits_in_every_form() {
        let after = |millis: u64| Ok(When::After(Duration::from_millis(millis)));
        for (text, expected) in [
            ("55", after(55_000)),
            ("0", after(0)),
            ("11.5", after(11_500)),
            ("6m0s", after(360_000)),
            ("999999999", after(999_999_999_000)),
            // From here on, numbers are Unix times.
            ("1000000000", Ok(When::At(at(1_000_000_000)))),
            ("99999999999", Ok(When::At(at(99_999_999_999)))),
            ("100000000000", Ok(When::At(at(100_000_000)))),
            ("1755780119", Ok(When::At(at(NOW + 60)))),
            ("1755780119000", Ok(When::At(at(NOW + 60)))),
            ("2025-08-21T12:41:59Z", Ok(When::At(at(NOW + 60)))),
            ("Thu, 21 Aug 2025 12:41:59 GMT", Ok(When::At(at(NOW + 60)))),
            ("1970-01-01T00:00:00Z", Ok(When::At(at(0)))),
        ] {
            assert_eq!(when(text), expected, "{text}");
        }
        for text in ["-1", "-1s", "1e308", "NaN", "inf", "soon", "1000000000s", "1  s"] {
            assert_eq!(when(text), Err("neither a wait nor a date"), "{text}");
        }
        for text in ["100000000000000", "18446744073709551615", "99999999999999999999"] {
            assert_eq!(when(text), Err("too large"), "{text}");
        }
    }

    #[test]
    fn milliseconds_and_periods() {
        assert_eq!(millis("4321"), Ok(Duration::from_millis(4321)));
        assert_eq!(millis("0.5"), Ok(Duration::from_micros(500)));
        assert_eq!(millis("999999999999"), Ok(Duration::from_millis(999_999_999_999)));
        for text in ["1000000000000", "-1", "1s", "inf", "00:00:00.033"] {
            assert!(millis(text).is_err(), "{text}");
        }
        assert_eq!(period("60"), Ok(Period::MINUTE));
        assert_eq!(period("1m0s"), Ok(Period::MINUTE));
        for text in ["0", "0s", "-60", "1000000000", "minute"] {
            assert!(period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_and_parameters() {
        let items = |text| items(text).map(Iterator::collect::<Vec<_>>);
        assert_eq!(items("991, 98"), Ok(vec![("991", ""), ("98", "")]));
        assert_eq!(items("100,100;w=60"), Ok(vec![("100", ""), ("100", "w=60")]));
        assert!(items("1,000").is_err() && items("1,200,050").is_err());
        assert_eq!(window("w=60;comment=\"x\""), Some(Period::MINUTE));
        assert_eq!(window(" burst=5 ; w = 1"), Some(Period::SECOND));
        for parameters in ["", "w", "w=", "w=0", "w=-1", "w=99999999999", "window=60"] {
            assert_eq!(window(parameters), None, "{parameters}");
        }
        let secs = |secs| Ok(Waits { after: Some(Duration::from_secs(secs)), at: None });
        assert_eq!(waits("1, 30, 20"), secs(30));
        assert_eq!(waits("120;w=60"), secs(120));
        let date = waits("Thu, 21 Aug 2025 12:41:59 GMT");
        assert_eq!(date, Ok(Waits { after: None, at: Some(at(NOW + 60)) }));
        assert!(waits("1, soon").is_err());
    }

    #[test]
    fn text_is_short_and_utf_8() {
        assert_eq!(text(b" \t60 "), Ok("60"));
        assert_eq!(text(b"  "), Err("empty"));
        assert_eq!(text(b"6\xff"), Err("not text"));
        assert_eq!(text(&[b'1'; 512]).map(str::len), Ok(512));
        assert_eq!(text(&[b'1'; 513]), Err("longer than any valid value"));
    }
}
