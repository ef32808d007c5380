//! A report as text.

use std::io::{self, Write};

use super::{LogReport, Report};

/// Writes the whole report.
pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    for log in &report.logs {
        write_log(out, log)?;
    }
    traffic(out, report)?;
    if report.totals.requests == 0 {
        return Ok(());
    }
    totals(out, report)?;
    limits(out, report)?;
    bursts(out, report)?;
    routes(out, report)?;
    keys(out, report)?;
    callers(out, report)?;
    for (index, note) in report.notes.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        writeln!(out, "{gap}Note: {note}.")?;
    }
    Ok(())
}

fn write_log(out: &mut impl Write, log: &LogReport) -> io::Result<()> {
    writeln!(out, "{}: read as {}", log.name, log.format)?;
    let (lines, requests) = (log.lines, log.requests);
    writeln!(out, "  lines: {lines}, replayed: {requests}, skipped: {}", lines - requests)?;
    for why in &log.skipped {
        let first: Vec<_> = why.first.iter().map(ToString::to_string).collect();
        let plural = if first.len() == 1 { "" } else { "s" };
        let more = if why.lines > first.len() as u64 { ", ..." } else { "" };
        let first = first.join(", ");
        writeln!(out, "    {}: {} (line{plural} {first}{more})", why.lines, why.reason)?;
    }
    if log.late > 0 {
        writeln!(
            out,
            "  more than {} s behind the lines before them, and taken as made at the newest time: \
             {}",
            crate::replay::input::WINDOW,
            log.late
        )?;
    }
    Ok(())
}

fn traffic(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if let (Some(from), Some(to)) = (&report.from, &report.to) {
        writeln!(out, "\nfrom {from} to {to}")?;
    }
    let busiest = [("second", &report.busiest_second), ("minute", &report.busiest_minute)];
    for (span, busiest) in busiest {
        if let Some(busiest) = busiest {
            writeln!(out, "busiest {span}: {} requests at {}", busiest.requests, busiest.at)?;
        }
    }
    Ok(())
}

fn totals(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let totals = &report.totals;
    let mut rows = vec![("requests", totals.requests), ("pass", totals.passed)];
    let also = [
        ("  exempt", totals.exempt),
        ("  would be refused by a shadow limit", totals.would_refuse),
    ];
    rows.extend(also.into_iter().filter(|(_, requests)| *requests > 0));
    rows.push(("refused", totals.refused));
    let refused = [
        ("  by limits", totals.refused_by_limits),
        ("  in a penalty", totals.refused_in_penalty),
        ("  blocked", totals.refused_blocked),
        ("  no room for a new key", totals.refused_no_room),
        ("  ambiguous path", totals.refused_ambiguous),
        ("  a part of a key is missing", totals.refused_missing_key),
        ("  no address", totals.refused_no_address),
    ];
    rows.extend(refused.into_iter().filter(|(_, requests)| *requests > 0));
    let mut table = Table::new(1, ["", "", ""]);
    for (name, requests) in rows {
        table.row([name.into(), requests.to_string(), share(requests, totals.requests)]);
    }
    table.row(["penalties begun".into(), totals.penalties_begun.to_string(), String::new()]);
    writeln!(out)?;
    table.write(out)
}

fn limits(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.limits.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(
        2,
        ["limit", "key", "asked", "refused", "would refuse", "share", "keys", "refused keys"],
    );
    for limit in &report.limits {
        let key = if limit.key.is_empty() { "for all".to_owned() } else { limit.key.join("+") };
        let [refused, would_refuse] = if limit.shadow {
            ["shadow".to_owned(), limit.would_refuse.to_string()]
        } else {
            [limit.refused.to_string(), String::new()]
        };
        table.row([
            limit.limit.clone(),
            key,
            limit.decided.to_string(),
            refused,
            would_refuse,
            share(limit.refuses(), limit.decided),
            limit.keys.to_string(),
            limit.refused_keys.to_string(),
        ]);
    }
    writeln!(out)?;
    table.write(out)
}

fn bursts(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut table = Table::new(3, ["limit", "quota", "refuses nobody", "keys"]);
    for limit in &report.limits {
        let about = if limit.exact { "" } else { " (estimate)" };
        for quota in &limit.quotas {
            let enough = quota.enough.as_ref().map(|enough| format!("{enough}{about}"));
            let unknown = || format!("(not computed for {})", limit.algorithm);
            let enough = enough.unwrap_or_else(unknown);
            table.row([limit.limit.clone(), quota.quota.clone(), enough, quota.keys.to_string()]);
        }
    }
    if table.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThe smallest burst at the same rate that refuses nobody:")?;
    table.write(out)
}

fn routes(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.routes.iter().all(|route| route.route.is_none()) {
        return Ok(());
    }
    let mut table = Table::new(1, ["route", "requests", "refused", "share", "would refuse"]);
    for route in &report.routes {
        table.row([
            route.route.clone().unwrap_or_else(|| "(no route)".to_owned()),
            route.requests.to_string(),
            route.refused.to_string(),
            share(route.refused, route.requests),
            route.would_refuse.to_string(),
        ]);
    }
    writeln!(out)?;
    table.write(out)
}

fn keys(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.keys.is_empty() {
        return writeln!(out, "\nNo key was refused anything.");
    }
    let mut table = Table::new(2, ["key", "limit", "asked", "refused", "share", "smallest burst"]);
    for key in &report.keys {
        table.row([
            key.key.clone(),
            key.limit.clone(),
            key.decided.to_string(),
            key.refused.to_string(),
            share(key.refused, key.decided),
            key.smallest_burst.map_or_else(|| "-".to_owned(), |burst| burst.to_string()),
        ]);
    }
    writeln!(out, "\nKeys that limits refused most, of {}:", report.refused_keys)?;
    table.write(out)
}

fn callers(out: &mut impl Write, report: &Report) -> io::Result<()> {
    if report.callers.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(
        1,
        ["caller", "refused", "in a penalty", "would refuse", "penalties", "first", "last"],
    );
    for caller in &report.callers {
        table.row([
            caller.caller.clone(),
            caller.refused.to_string(),
            caller.refused_in_penalty.to_string(),
            caller.would_refuse.to_string(),
            caller.penalties_begun.to_string(),
            caller.from.clone(),
            caller.to.clone(),
        ]);
    }
    writeln!(out, "\nCallers that were refused most, of {}:", report.refused_callers)?;
    table.write(out)
}

/// Rows whose columns are aligned: the first ones to the left, the others to the right. A column
/// in which nothing but zeros stands is left out.
struct Table<const COLUMNS: usize> {
    left: usize,
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    fn new(left: usize, header: [&str; COLUMNS]) -> Self {
        Self { left, rows: vec![header.map(str::to_owned)] }
    }

    fn row(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }

    fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for (column, width) in widths.iter_mut().enumerate() {
            let is_idle = |row: &[String; COLUMNS]| matches!(&*row[column], "" | "0" | "0.00%");
            if column >= self.left && self.rows.iter().skip(1).all(is_idle) {
                *width = 0;
            }
        }
        for row in self.rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())) {
            let mut line = String::from("  ");
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if width == 0 {
                    continue;
                }
                let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
                let (before, after) =
                    if column < self.left { ("", &*blanks) } else { (&*blanks, "") };
                line.push_str(before);
                line.push_str(cell);
                line.push_str(after);
                line.push_str("  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `part` as a percentage of `whole`, to the nearest hundredth; 0 and 100 mean none and all.
fn share(part: u64, whole: u64) -> String {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let hundredths = match part {
        _ if whole == 0 => return String::new(),
        0 => 0,
        all if all == whole => 10_000,
        _ => ((part * 10_000 + whole / 2) / whole).clamp(1, 9_999),
    };
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}
