//! Durations and dates as servers write them.

use crate::sim::{BEGAN, MINUTE, Nanos, SECOND};

/// `6m0s`, `1.5s`, `12ms`, as Go writes them, to the next millisecond.
pub(crate) fn go_duration(duration: Nanos) -> String {
    let millis = duration.div_ceil(SECOND / 1_000);
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let fraction = format!("{}.{:03}", rest / 1_000, rest % 1_000);
    let seconds = fraction.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

pub(crate) fn whole_seconds(duration: Nanos) -> String {
    duration.div_ceil(SECOND).to_string()
}

/// `Mon, 23 Nov 2026 07:13:17 GMT`: the servers' first day is a Monday.
pub(crate) fn http_date(now: Nanos) -> String {
    let (day, time) = day_and_time(now);
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    format!("{}, {} Nov 2026 {time} GMT", names[day % 7], 23 + day)
}

/// `2026-11-23T07:13:17Z`.
pub(crate) fn rfc3339(at: Nanos) -> String {
    let (day, time) = day_and_time(at);
    format!("2026-11-{}T{time}Z", 23 + day)
}

/// Days since the first, and the time of day.
fn day_and_time(at: Nanos) -> (usize, String) {
    let minutes = (at + BEGAN) / MINUTE;
    let (hours, seconds) = (minutes / 60, (at + BEGAN) % MINUTE / SECOND);
    let day = usize::try_from(hours / 24).unwrap();
    (day, format!("{:02}:{:02}:{seconds:02}", hours % 24, minutes % 60))
}
