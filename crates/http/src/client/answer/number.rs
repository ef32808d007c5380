//! Numbers and times in header fields, as servers really write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A longer time is not believed: it is a mistake, such as another unit, or an attack.
pub(in crate::client) const LONGEST_BELIEVED: Duration = Duration::from_secs(31 * 24 * 3600);

/// The numbers that can be a time since 1970 in seconds: from 2001 to 5138.
const EPOCH_SECONDS: std::ops::Range<u64> = 1_000_000_000..100_000_000_000;
/// The same in milliseconds.
const EPOCH_MILLIS: std::ops::Range<u64> = 1_000_000_000_000..100_000_000_000_000;

/// A number of seconds without a sign, with or without a fraction, which is rounded up to a
/// nanosecond. `None` if it is anything else, or does not fit.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let (nanos, rest) = fraction.split_at(fraction.len().min(9));
    let nanos: u64 = format!("{nanos:0<9}").parse().ok()?;
    let more = u64::from(rest.bytes().any(|digit| digit != b'0'));
    Duration::from_secs(whole.parse().ok()?).checked_add(Duration::from_nanos(nanos + more))
}

/// How long it is from `now` to a point in time, which is given as seconds from now, as seconds or
/// milliseconds since 1970, as an HTTP date, or as RFC 3339 writes it. Which kind of number it is
/// shows its size. A point in the past is no time away. `None` if it cannot be read or believed.
pub(super) fn time_until(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match seconds(text) {
        Some(number) if number <= LONGEST_BELIEVED => number,
        Some(number) if EPOCH_SECONDS.contains(&number.as_secs()) => {
            until(UNIX_EPOCH, number, now)?
        }
        Some(number) if EPOCH_MILLIS.contains(&number.as_secs()) => {
            until(UNIX_EPOCH, number / 1_000, now)?
        }
        Some(_) => return None,
        None => until(date(text)?, Duration::ZERO, now)?,
    };
    (wait <= LONGEST_BELIEVED).then_some(wait)
}

/// An HTTP date in any of its three forms (RFC 9110, 5.6.7), or a time in UTC as in RFC 3339.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok().or_else(|| {
        let utc = text.strip_suffix("+00:00").map(|time| format!("{time}Z"));
        humantime::parse_rfc3339(utc.as_deref().unwrap_or(text)).ok()
    })
}

fn until(base: SystemTime, after: Duration, now: SystemTime) -> Option<Duration> {
    Some(base.checked_add(after)?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_digits_and_nothing_else() {
        for (text, nanos) in [
            ("0", 0),
            ("30", 30_000_000_000),
            ("2.0", 2_000_000_000),
            ("0.5", 500_000_000),
            ("64.57", 64_570_000_000),
            ("007", 7_000_000_000),
            ("0.0000000001", 1),
            ("1.9999999999", 2_000_000_000),
        ] {
            assert_eq!(seconds(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0x10",
            "1,5",
            "1 ",
            "NaN",
            "inf",
            "١",
            "1.2.3",
            "30s",
            "18446744073709551616",
            "99999999999999999999999999999999999999",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds("18446744073709551615.9999999999"), None);
    }

    #[test]
    fn the_size_of_a_number_says_what_it_is() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, wait) in [
            ("60", Some(60)),
            ("2678400", Some(2_678_400)),
            ("2678401", None),
            ("999999999", None),
            ("1700000060", Some(60)),
            ("1700000060.0", Some(60)),
            ("1600000000", Some(0)),
            ("1702678400", Some(2_678_400)),
            ("1702678401", None),
            ("1700000060000", Some(60)),
            ("100000000000", None),
            ("18446744073709551615", None),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Tuesday, 14-Nov-23 22:14:20 GMT", Some(60)),
            ("Tue Nov 14 22:14:20 2023", Some(60)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("2023-11-14T22:14:20Z", Some(60)),
            ("2023-11-14T22:14:20+00:00", Some(60)),
            ("2023-11-14T22:14:20+02:00", None),
            ("soon", None),
            ("-5", None),
        ] {
            assert_eq!(time_until(text, now), wait.map(Duration::from_secs), "{text}");
        }
    }
}
