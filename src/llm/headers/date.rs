//! Dates: RFC 3339 and HTTP dates.

use std::time::{Duration, SystemTime};

/// The length of a date and time without a fraction, such as `2025-08-21T12:40:59`.
const TO_THE_SECOND: usize = 19;

/// Parses a date of either form.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    rfc_3339(text).or_else(|| http_date(text))
}

/// Parses `Thu, 21 Aug 2025 12:40:59 GMT` and the two older forms (RFC 9110, section 5.6.7). Mail
/// libraries write the zone as `-0000`, `+0000` or `UTC` (RFC 5322, section 3.3).
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let zone = ["-0000", "+0000", "UTC"].iter().find_map(|zone| text.strip_suffix(zone));
    let Some(time) = zone else { return httpdate::parse_http_date(text).ok() };
    // No date is longer, so nothing is lost.
    let mut gmt = [0; "Wednesday, 21-Aug-25 12:40:59 GMT".len()];
    let length = time.len() + "GMT".len();
    gmt.get_mut(..time.len())?.copy_from_slice(time.as_bytes());
    gmt.get_mut(time.len()..length)?.copy_from_slice(b"GMT");
    httpdate::parse_http_date(std::str::from_utf8(&gmt[..length]).ok()?).ok()
}

/// Parses `2025-08-21T12:40:59Z`, with or without a fraction, in any time zone (RFC 3339, section
/// 5.6), from 1970 on.
fn rfc_3339(text: &str) -> Option<SystemTime> {
    if let Some(utc) = text.strip_suffix('Z') {
        return without_zone(utc);
    }
    let (local, zone) = text.split_at_checked(text.len().checked_sub("+05:30".len())?)?;
    let time = without_zone(local)?;
    let (sign, offset) = zone.split_at_checked(1)?;
    match sign {
        // East of Greenwich, local time is ahead of UTC.
        "+" => time.checked_sub(hours_and_minutes(offset)?),
        "-" => time.checked_add(hours_and_minutes(offset)?),
        _ => None,
    }
}

/// Parses `2025-08-21T12:40:59.25` as UTC.
fn without_zone(text: &str) -> Option<SystemTime> {
    // `humantime` would also accept a `Z` or `+00:00` here.
    let is_fraction = |text: &str| text.len() > 1 && text[1..].bytes().all(|b| b.is_ascii_digit());
    let fraction = text.get(TO_THE_SECOND..)?;
    if !(fraction.is_empty() || fraction.starts_with('.') && is_fraction(fraction)) {
        return None;
    }
    humantime::parse_rfc3339_weak(text).ok()
}

/// Parses an offset such as `05:30`.
fn hours_and_minutes(text: &str) -> Option<Duration> {
    let [h1, h2, b':', m1, m2] = *text.as_bytes() else { return None };
    let digits = [h1, h2, m1, m2].map(|byte| u64::from(byte.wrapping_sub(b'0')));
    let [h1, h2, m1, m2] = digits;
    let (hours, minutes) = (h1 * 10 + h2, m1 * 10 + m2);
    let valid = digits.iter().all(|digit| *digit < 10) && hours < 24 && minutes < 60;
    valid.then(|| Duration::from_secs(hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let at = |millis: u64| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        for (text, millis) in [
            ("2025-08-21T12:40:59Z", 1_755_780_059_000),
            ("2025-08-21 12:40:59Z", 1_755_780_059_000),
            ("2025-08-21T12:40:59.25Z", 1_755_780_059_250),
            ("2025-08-21T12:40:59.250000000000000000Z", 1_755_780_059_250),
            ("2025-08-21T12:40:59+00:00", 1_755_780_059_000),
            ("2025-08-21T12:40:59-00:00", 1_755_780_059_000),
            ("2025-08-21T18:10:59.5+05:30", 1_755_780_059_500),
            ("2025-08-21T07:40:59-05:00", 1_755_780_059_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1970-01-01T00:00:00Z", 0),
            ("Thu, 21 Aug 2025 12:40:59 GMT", 1_755_780_059_000),
            ("Thursday, 21-Aug-25 12:40:59 GMT", 1_755_780_059_000),
            ("Thu Aug 21 12:40:59 2025", 1_755_780_059_000),
            ("Thu, 21 Aug 2025 12:40:59 -0000", 1_755_780_059_000),
            ("Thu, 21 Aug 2025 12:40:59 +0000", 1_755_780_059_000),
            ("Thu, 21 Aug 2025 12:40:59 UTC", 1_755_780_059_000),
        ] {
            assert_eq!(parse(text), at(millis), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_time() {
        for text in [
            "",
            "Z",
            "0",
            "2025-08-21",
            "2025-08-21T12:40:59",
            "2025-08-21T12:40Z",
            "2025-08-21T12:40:59ZZ",
            "2025-08-21T12:40:59+00:00Z",
            "2025-08-21T12:40:59.Z",
            "2025-08-21T12:40:59.5.5Z",
            "2025-08-21T12:40:59+0530",
            "2025-08-21T12:40:59+24:00",
            "2025-08-21T12:40:59+05:60",
            "2025-08-21T12:40:59 05:30",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-08-21T25:00:00Z",
            "1969-12-31T23:59:59Z",
            "-025-08-21T12:40:59Z",
            "12025-08-21T12:40:59Z",
            "2025-08-21T12:40:5٩Z",
            "Thu, 21 Foo 2025 12:40:59 GMT",
            "Thu, 21 Aug 2025 12:40:59",
            "Thu, 21 Aug 2025 12:40:59 +0200",
            "UTC",
            "Thursday the twenty-first of August, at some time that is very long -0000",
            "Tue Feb 16 2021 09:02:42 GMT+0100 (Central European Standard Time)",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
