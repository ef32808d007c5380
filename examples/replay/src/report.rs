//! What a replay found, as text.

use std::io::{self, Write};

use crate::parse::Skipped;
use crate::run::Replay;
use crate::time;

const OFFENDERS_SHOWN: usize = 10;

/// Longer names, which no address has, are cut in the table.
const LONGEST_NAME: usize = 45;

/// Writes the whole report.
pub fn write(out: &mut impl Write, replay: &Replay<'_>) -> io::Result<()> {
    summary(out, replay)?;
    skipped(out, replay)?;
    if replay.tally().requests > 0 {
        offenders(out, replay)?;
        burst(out, replay)?;
    }
    Ok(())
}

/// Why the report can't be trusted, if too little of the log could be read.
pub fn doubt(replay: &Replay<'_>, max_skipped: u8) -> Option<String> {
    let tally = replay.tally();
    let (requests, unreadable) = (tally.requests, tally.unreadable());
    let empty = tally.skipped_for(Skipped::Empty);
    if requests == 0 && tally.skipped > empty {
        return Some(format!(
            "no line could be replayed, read as {}: the reasons are above; `--client` says where \
             the client stands, `--format` what the format is",
            replay.layout().name()
        ));
    }
    let without = tally.skipped_for(Skipped::NoClient);
    if without > requests {
        return Some(format!(
            "{without} requests have no client, and only {requests} have one: `--client` says where \
             the client stands"
        ));
    }
    let lines = requests + unreadable;
    let too_many = u128::from(unreadable) * 100 > u128::from(lines) * u128::from(max_skipped);
    too_many.then(|| {
        format!(
            "{unreadable} of {lines} lines could not be read, which is more than {max_skipped} %: \
             don't trust the report (`--max-skipped PERCENT` allows more)"
        )
    })
}

fn summary(out: &mut impl Write, replay: &Replay<'_>) -> io::Result<()> {
    let tally = replay.tally();
    let refused = tally.requests - tally.admitted;
    writeln!(out, "{} per client", replay.quota())?;
    writeln!(out, "read as {}", replay.layout().name())?;
    writeln!(out)?;
    writeln!(out, "lines         {:>10}", tally.lines)?;
    writeln!(out, "  skipped     {:>10}", tally.skipped)?;
    writeln!(out, "requests      {:>10}", tally.requests)?;
    writeln!(out, "  admitted    {:>10}{}", tally.admitted, share(tally.admitted, tally.requests))?;
    writeln!(out, "  refused     {:>10}{}", refused, share(refused, tally.requests))?;
    writeln!(
        out,
        "  out of order{:>10}  (taken as made at the newest time seen)",
        tally.out_of_order
    )?;
    writeln!(out, "clients       {:>10}", replay.clients())?;
    if let Some((first, last)) = tally.span {
        let (days, seconds) = ((last - first) / 86_400, (last - first) % 86_400);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        writeln!(out, "from          {} UTC", time::format(first))?;
        writeln!(out, "to            {} UTC", time::format(last))?;
        writeln!(out, "which is      {days} d {hours:02}:{minutes:02}:{seconds:02}")?;
    }
    Ok(())
}

fn skipped(out: &mut impl Write, replay: &Replay<'_>) -> io::Result<()> {
    let tally = replay.tally();
    if tally.skipped == 0 {
        return Ok(());
    }
    writeln!(out, "\nSkipped lines:")?;
    for (reason, (lines, first)) in &tally.reasons {
        writeln!(out, "  {lines:>10}  {}, first in line {first}", reason.reason())?;
    }
    Ok(())
}

fn offenders(out: &mut impl Write, replay: &Replay<'_>) -> io::Result<()> {
    let offenders = replay.offenders();
    if offenders.is_empty() {
        return writeln!(out, "\nNobody was refused anything.");
    }
    writeln!(
        out,
        "\nClients with refusals: {} of {}. The worst:",
        offenders.len(),
        replay.clients()
    )?;
    let rows: Vec<_> = offenders
        .iter()
        .take(OFFENDERS_SHOWN)
        .map(|(name, client)| (printable(name), client))
        .collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max("client".len());
    writeln!(
        out,
        "  {:<width$} {:>10} {:>10} {:>10} {:>12}",
        "client", "requests", "admitted", "refused", "needed burst"
    )?;
    for (name, client) in rows {
        writeln!(
            out,
            "  {name:<width$} {:>10} {:>10} {:>10} {:>12}",
            client.requests,
            client.admitted,
            client.refused(),
            replay.needed_burst_of(client)
        )?;
    }
    Ok(())
}

fn burst(out: &mut impl Write, replay: &Replay<'_>) -> io::Result<()> {
    let quota = replay.quota();
    if quota.is_unlimited() {
        return Ok(());
    }
    let needed = quota.burst(replay.needed_burst());
    writeln!(out, "\nThe smallest quota of this rate that refuses nothing: {needed}")
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
    format!("  {:>3}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A client's name without bytes that a terminal might obey.
fn printable(name: &[u8]) -> String {
    let mut text = name.escape_ascii().to_string();
    if text.len() > LONGEST_NAME {
        text.truncate(LONGEST_NAME - 3);
        text.push_str("...");
    }
    text
}
