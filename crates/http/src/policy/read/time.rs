//! Reading points in time.

use std::time::{Duration, SystemTime};

use super::table::found;
use crate::policy::code::Code;
use crate::policy::problems::Problems;
use crate::policy::source::{Node, Value};

/// A point in time with its offset from UTC: RFC 3339, section 5.6.
pub(super) fn time(node: &Node, key: &str, problems: &mut Problems) -> Option<SystemTime> {
    let parsed = match &node.value {
        Value::Time(text) | Value::Text(text) => parse_time(text),
        _ => Err(String::new()),
    };
    let why = match parsed {
        Ok(time) => return Some(time),
        Err(why) => why,
    };
    problems.add(&node.place, Code::BadValue, || {
        let found = found(&node.value);
        format!("`{key}` is {found}: {why}write a time such as `2027-01-01T00:00:00Z`")
    });
    None
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    let parsed: toml_datetime::Datetime = text.parse().map_err(|_| String::new())?;
    let (Some(date), Some(time)) = (parsed.date, parsed.time) else {
        return Err("date and time are needed: ".into());
    };
    let offset = match parsed.offset {
        Some(toml_datetime::Offset::Z) => 0,
        Some(toml_datetime::Offset::Custom { minutes }) => i64::from(minutes) * 60,
        None => return Err("the offset from UTC is missing, such as `Z` at the end: ".into()),
    };
    let days = days_since_1970(date.year.into(), date.month.into(), date.day.into());
    let second = time.second.unwrap_or(0);
    let of_day = (i64::from(time.hour) * 60 + i64::from(time.minute)) * 60 + i64::from(second);
    let seconds = u64::try_from(days * 86_400 + of_day - offset)
        .map_err(|_| String::from("this is before 1970: "))?;
    let since = Duration::new(seconds, time.nanosecond.unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).filter(is_printable).ok_or_else(String::new)
}

/// Whether the time can be written with four digits for the year.
fn is_printable(time: &SystemTime) -> bool {
    const YEAR_10000: u64 = 253_402_300_800;
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.is_ok_and(|since| since.as_secs() < YEAR_10000)
}

/// The text of a time, which [`time`] reads.
pub(in crate::policy) fn time_text(time: SystemTime) -> String {
    if is_printable(&time) {
        humantime::format_rfc3339(time).to_string()
    } else {
        "outside of the years 1970 to 9999".into()
    }
}

/// The days from 1970-01-01 to a date of the Gregorian calendar. Months and days may be out of
/// range. (Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.)
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
