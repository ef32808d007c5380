//! Periods: `s`, `3s`, `250ms`, `2 minutes`, `1m30s`, `week`.

use std::time::Duration;

use super::count::Decimal;

/// The units, longest first: the printed name, the nanoseconds, and other spellings that parse.
pub(super) const UNITS: [(&str, u128, &[&str]); 7] = [
    ("day", DAY, &["d", "days"]),
    ("h", 3_600_000_000_000, &["hr", "hrs", "hour", "hours"]),
    ("min", 60_000_000_000, &["m", "mins", "minute", "minutes"]),
    ("s", 1_000_000_000, &["sec", "secs", "second", "seconds"]),
    ("ms", 1_000_000, &["msec", "msecs", "millisecond", "milliseconds"]),
    ("us", 1_000, &["\u{b5}s", "\u{3bc}s", "microsecond", "microseconds"]),
    ("ns", 1, &["nanosecond", "nanoseconds"]),
];

const DAY: u128 = 86_400_000_000_000;

/// Names of the week. Weeks are parsed, but printed as days.
const WEEKS: [&str; 3] = ["w", "week", "weeks"];

/// Reads a period. The error is a message that says what to write instead.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the period is missing: write it, such as `10/s` or `10/5min`".into());
    }
    let (mut rest, mut sum) = (text, 0_u128);
    while !rest.is_empty() {
        let (part, after) = part(rest);
        // A unit without a number means one unit, but only if it is the whole text.
        let nanos = match part.number {
            "" if part.unit.len() < text.len() => None,
            number => nanos(number, part.unit, text)?,
        };
        sum = nanos
            .and_then(|nanos| sum.checked_add(nanos))
            .ok_or_else(|| unknown(text, part.unit))?;
        rest = after;
    }
    let too_long = || format!("the period `{text}` is too long");
    let seconds = u64::try_from(sum / 1_000_000_000).map_err(|_| too_long())?;
    let below = u32::try_from(sum % 1_000_000_000).map_err(|_| too_long())?;
    Ok(Duration::new(seconds, below))
}

/// How `period` nanoseconds are printed: a number and the name of its unit.
pub(super) fn printed(period: u128) -> (u128, &'static str) {
    let (name, nanos, _) =
        UNITS.iter().find(|unit| period != 0 && period % unit.1 == 0).unwrap_or(&UNITS[6]);
    (period / nanos, name)
}

/// A number and its unit.
struct Part<'a> {
    number: &'a str,
    unit: &'a str,
}

/// The first number and unit of `text`, and the text after them.
fn part(text: &str) -> (Part<'_>, &str) {
    let digits =
        text.bytes().take_while(|byte| byte.is_ascii_digit() || b"._".contains(byte)).count();
    let (number, rest) = text.split_at(digits);
    // Ruby writes `20.seconds`.
    let number = number.strip_suffix('.').unwrap_or(number);
    let rest = rest.trim_start();
    let end = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    (Part { number, unit }, rest.trim_start())
}

/// The nanoseconds of a number and a unit. `None` if they are not a period; the error is a message.
fn nanos(number: &str, unit: &str, text: &str) -> Result<Option<u128>, String> {
    let Some(unit) = unit_nanos(unit) else { return Ok(None) };
    if number.is_empty() {
        return Ok(Some(unit));
    }
    let Some(count) = Decimal::parse(number) else {
        let only_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        return if only_digits {
            Err(format!("the period `{text}` is too long"))
        } else {
            Ok(None)
        };
    };
    match count.times(unit) {
        None => Err(format!("the period `{text}` is too long")),
        Some((nanos, 1)) if number.contains('.') => {
            let (count, name) = printed(nanos);
            Err(format!("`{text}` is not a whole number of its unit: write `{count}{name}`"))
        }
        Some((nanos, 1)) => Ok(Some(nanos)),
        Some(_) => Err(format!("`{text}` is finer than a nanosecond")),
    }
}

fn unit_nanos(unit: &str) -> Option<u128> {
    let is = |name: &&str| name.eq_ignore_ascii_case(unit);
    if WEEKS.iter().any(is) {
        return Some(7 * DAY);
    }
    let found = UNITS.iter().find(|(name, _, others)| is(name) || others.iter().any(is))?;
    Some(found.1)
}

fn unknown(text: &str, unit: &str) -> String {
    let unit = unit.to_ascii_lowercase();
    match unit.as_str() {
        "mo" | "mon" | "month" | "months" => {
            "months differ in length: write the period in days, such as `30day`".into()
        }
        "y" | "yr" | "year" | "years" => {
            "years differ in length: write the period in days, such as `365day`".into()
        }
        "" => format!("the period `{text}` has no unit: write s, min, h or day after the number"),
        _ => format!(
            "`{text}` is not a period: write s, min, h, day, week, ms, us or ns, with a number \
             before it unless it is 1"
        ),
    }
}
