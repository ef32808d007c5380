//! The time stamps of access logs, to a time since 1970: `17/May/2015:10:05:03 +0000`, and in
//! other logs `2015-05-17T10:05:03.123Z` or `1431857103.123`.

use tollgate::Timestamp;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// The length of a time stamp.
pub const LENGTH: usize = 26;

/// Seconds since 1970-01-01T00:00:00Z.
///
/// `None` if `text` is no time stamp, is on a day that does not exist, or lies outside of
/// 1970 to 2553, which is what a [`tollgate::Timestamp`] holds.
#[must_use]
pub fn parse(text: &[u8]) -> Option<u64> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let separators = [(2, b'/'), (6, b'/'), (11, b':'), (14, b':'), (17, b':'), (20, b' ')];
    if separators.iter().any(|&(at, separator)| text[at] != separator) {
        return None;
    }
    let name = &text[3..6];
    let month = 1 + MONTHS.iter().zip(0u32..).find(|(month, _)| **month == name)?.1;
    let (year, day) = (number(&text[7..11])?, number(&text[..2])?);
    let (hour, minute, second) =
        (number(&text[12..14])?, number(&text[15..17])?, number(&text[18..20])?);
    let (zone_hours, zone_minutes) = (number(&text[22..24])?, number(&text[24..])?);

    let year_fits = (1969..=2554).contains(&year);
    let day_fits = (1..=days_in(year, month)).contains(&day);
    // A leap second is written as second 60.
    let time_fits = hour < 24 && minute < 60 && second <= 60;
    let zone_fits = zone_hours < 24 && zone_minutes < 60;
    if !(year_fits && day_fits && time_fits && zone_fits) {
        return None;
    }

    let local = days_from_civil(year.into(), month.into(), day.into()) * 86_400
        + i64::from(hour * 3_600 + minute * 60 + second);
    let zone = i64::from(zone_hours * 3_600 + zone_minutes * 60);
    let utc = match text[21] {
        b'+' => local - zone,
        b'-' => local + zone,
        _ => return None,
    };
    // Years at the edges were let in for their time zones' sake.
    u64::try_from(utc).ok().filter(|&utc| utc < FIRST_OF_2554)
}

/// The time in any of the forms that servers write: that of [`parse`], the same with a fraction or
/// without a zone (`HAProxy`), ISO 8601, or a number of seconds, milliseconds, microseconds or
/// nanoseconds since 1970, told apart by its size. A time without a zone is UTC.
#[must_use]
pub fn parse_any(text: &[u8]) -> Option<Timestamp> {
    let text = text.trim_ascii();
    match text {
        [_, _, b'/', ..] => common(text),
        [_, _, _, _, b'-' | b'/', ..] => iso(text),
        _ => epoch(text),
    }
}

/// The time so many seconds after 1970, which are fewer than [`parse`] gives at most.
#[must_use]
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(seconds.saturating_mul(NANOS))
}

/// Whole seconds since 1970.
#[must_use]
pub fn seconds(time: Timestamp) -> u64 {
    time.as_nanos() / NANOS
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// A time so many seconds after 1970 and the nanoseconds in `fraction`, which are the digits after
/// the point.
fn with_fraction(seconds: u64, fraction: &[u8]) -> Timestamp {
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u64::from(digit - b'0'));
    Timestamp::from_nanos(at(seconds).as_nanos().saturating_add(nanos))
}

/// `17/May/2015:10:05:03.123 +0000`; a blank may stand before the hour, the rest may be missing.
fn common(text: &[u8]) -> Option<Timestamp> {
    let (stamp, rest) = text.split_at_checked(20)?;
    let mut common = *b"00/Mon/0000:00:00:00 +0000";
    common[..20].copy_from_slice(stamp);
    if common[11] == b' ' {
        common[11] = b':';
    }
    let (fraction, rest) = fraction(rest);
    common[21..].copy_from_slice(&zone(rest)?);
    Some(with_fraction(parse(&common)?, fraction))
}

/// The digits after the point that follows the seconds, and what follows them.
fn fraction(text: &[u8]) -> (&[u8], &[u8]) {
    match text {
        [b'.' | b',', digits @ ..] => {
            digits.split_at(digits.iter().take_while(|byte| byte.is_ascii_digit()).count())
        }
        _ => (b"", text),
    }
}

/// The zone as `+0000`; it may be missing.
fn zone(text: &[u8]) -> Option<[u8; 5]> {
    match *text.trim_ascii() {
        [] | [b'Z' | b'z'] | [b'U', b'T', b'C'] | [b'G', b'M', b'T'] => Some(*b"+0000"),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => Some([sign, a, b, c, d]),
        [sign, a, b] => Some([sign, a, b, b'0', b'0']),
        _ => None,
    }
}

/// `2015-05-17T10:05:03.123+02:00`; a blank may stand for the `T`, the zone may be missing.
fn iso(text: &[u8]) -> Option<Timestamp> {
    let (stamp, rest) = text.split_at_checked(19)?;
    if !(b"-/".contains(&stamp[4]) && stamp[7] == stamp[4] && b"Tt ".contains(&stamp[10])) {
        return None;
    }
    let month = number(&stamp[5..7])?.checked_sub(1)?;
    let mut common = *b"00/Mon/0000:00:00:00 +0000";
    common[..2].copy_from_slice(&stamp[8..10]);
    common[3..6].copy_from_slice(*MONTHS.get(usize::try_from(month).ok()?)?);
    common[7..11].copy_from_slice(&stamp[..4]);
    common[12..20].copy_from_slice(&stamp[11..19]);
    let (fraction, rest) = fraction(rest);
    common[21..].copy_from_slice(&zone(rest)?);
    Some(with_fraction(parse(&common)?, fraction))
}

/// `1431857103.123`, or without a point in a finer unit.
fn epoch(text: &[u8]) -> Option<Timestamp> {
    let whole = text.split(|&byte| byte == b'.').next().unwrap_or(text);
    let fraction = text.get(whole.len() + 1..).unwrap_or(b"");
    let digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    let value: u64 = std::str::from_utf8(whole).ok().filter(|_| digits)?.parse().ok()?;
    let unit = match value {
        // Seconds up to the year 5138, milliseconds from 1973, and so on.
        0..100_000_000_000 => NANOS,
        100_000_000_000..100_000_000_000_000 => NANOS / 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => NANOS / 1_000_000,
        _ => 1,
    };
    let time = match unit {
        NANOS if value >= FIRST_OF_2554 => return None,
        NANOS => with_fraction(value, fraction),
        // A fraction of a smaller unit does not matter.
        _ => Timestamp::from_nanos(value.checked_mul(unit)?),
    };
    Some(time).filter(|&time| time < at(FIRST_OF_2554))
}

/// 2554-01-01T00:00:00Z; the nanoseconds in 64 bits end in July of that year.
const FIRST_OF_2554: u64 = 18_429_292_800;

/// Seconds since 1970 as `2015-05-17 10:05:03`, in UTC.
#[must_use]
pub fn format(seconds: u64) -> String {
    let (year, month, day) = civil_from_days(i64::try_from(seconds / 86_400).unwrap_or(i64::MAX));
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// All of `digits` as a number; they are at most four.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0'))
    })
}

fn days_in(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, after Howard Hinnant's `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap
/// day is a year's last, and repeat every 400 years.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The way back, `civil_from_days` of the same author: year, month, day.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}
