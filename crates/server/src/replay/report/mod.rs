//! What a replay found: plain values, which are printed as a table or as JSON.

mod keys;
mod limits;
mod printable;
mod table;

use std::io::{self, Write};

use serde::Serialize;
use tollgate::Timestamp;

use super::input::{Log, Logs};
use super::log::{Skipped, time};
use super::run::Replay;

pub use keys::{CallerReport, KeyReport};
pub use limits::{LimitReport, QuotaReport, RouteReport};

/// What a replay found. Its names in JSON are those of the fields.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The policy.
    pub policy: PolicyReport,
    /// The logs, in the order of the command line.
    pub logs: Vec<LogReport>,
    /// All requests together.
    pub totals: Totals,
    /// The time of the first request; `None` if there is none.
    pub from: Option<String>,
    /// The time of the last request.
    pub to: Option<String>,
    /// The second with most requests.
    pub busiest_second: Option<Busiest>,
    /// The minute with most requests.
    pub busiest_minute: Option<Busiest>,
    /// The limits, in the order of the policy.
    pub limits: Vec<LimitReport>,
    /// The routes that requests took, the one with most requests first.
    pub routes: Vec<RouteReport>,
    /// The keys that limits refused most.
    pub keys: Vec<KeyReport>,
    /// How many keys were refused anything.
    pub refused_keys: u64,
    /// The callers that were refused most, in any way.
    pub callers: Vec<CallerReport>,
    /// How many callers were refused anything.
    pub refused_callers: u64,
    /// What the report does not know, or what was assumed.
    pub notes: Vec<String>,
}

/// The policy of a replay.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PolicyReport {
    /// The first digits of the hash of its text.
    pub hash: String,
}

/// What was read of a log.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LogReport {
    /// Its name.
    pub name: String,
    /// Its format.
    pub format: String,
    /// Its lines.
    pub lines: u64,
    /// Lines that were replayed.
    pub requests: u64,
    /// Requests whose time was too far behind to be put in order: they count as made at the newest
    /// time.
    pub late: u64,
    /// Lines that were not replayed.
    pub skipped: Vec<SkippedReport>,
    /// What was assumed about its format.
    pub notes: Vec<String>,
}

/// Lines that were not replayed for one reason.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SkippedReport {
    #[serde(skip)]
    why: Skipped,
    /// The reason.
    pub reason: &'static str,
    /// How many lines.
    pub lines: u64,
    /// The numbers of the first of them, from 1.
    pub first: Vec<u64>,
    /// Whether the lines should have been requests.
    pub unreadable: bool,
}

/// All requests together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Requests that were replayed.
    pub requests: u64,
    /// Those that go on.
    pub passed: u64,
    /// Those that go on without a limit being asked, because the policy exempts them.
    pub exempt: u64,
    /// Those that are refused, for any of the reasons that follow.
    pub refused: u64,
    /// Refused by a limit.
    pub refused_by_limits: u64,
    /// Refused because a limit had no room for a new key.
    pub refused_no_room: u64,
    /// Refused during a penalty.
    pub refused_in_penalty: u64,
    /// Refused because the caller is blocked.
    pub refused_blocked: u64,
    /// Refused because another program could read the path differently.
    pub refused_ambiguous: u64,
    /// Refused because a part of a key is missing.
    pub refused_missing_key: u64,
    /// Refused because an address is needed and not known.
    pub refused_no_address: u64,
    /// Requests that go on, and that something in the mode `shadow` would refuse.
    pub would_refuse: u64,
    /// How many penalties began.
    pub penalties_begun: u64,
    /// Requests whose user the log tells.
    pub with_user: u64,
    /// Requests whose host the log tells.
    pub with_host: u64,
    /// Requests whose status the log tells.
    pub with_status: u64,
    /// Requests that were answered with 429 when the log was written.
    pub answered_429: u64,
}

/// A span of time with most requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Busiest {
    /// When it begins.
    pub at: String,
    /// How many requests it has.
    pub requests: u64,
}

impl Report {
    pub(super) fn new(replay: &Replay, logs: &Logs, most: usize) -> Self {
        let counts = &replay.counts;
        let busiest = |(second, requests): (u64, u64)| {
            let at = rfc3339(time::at(second));
            (requests > 0).then_some(Busiest { at, requests })
        };
        let limits = replay.measure.with(limits::of);
        let (keys, refused_keys) = keys::keys(replay, most);
        let (callers, refused_callers) = keys::callers(replay, most);
        Self {
            policy: PolicyReport { hash: replay.policy.hash().to_owned() },
            logs: logs.logs().iter().map(LogReport::of).collect(),
            totals: Totals::of(replay),
            from: counts.first.map(rfc3339),
            to: counts.last.map(rfc3339),
            busiest_second: busiest(counts.second.most),
            busiest_minute: busiest(counts.minute.most),
            notes: limits::notes(replay, &limits),
            limits,
            routes: limits::routes(counts),
            keys,
            refused_keys,
            callers,
            refused_callers,
        }
    }

    /// Writes the report as a table.
    ///
    /// # Errors
    ///
    /// If `out` takes no more.
    pub fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        table::write(out, self)
    }

    /// Writes the report as one JSON document.
    ///
    /// # Errors
    ///
    /// If `out` takes no more.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }

    /// Why the report can't be trusted, if too little of a log could be read: more than
    /// `max_skipped` percent of its lines could not, or most requests have no client.
    #[must_use]
    pub fn doubt(&self, max_skipped: u8) -> Option<String> {
        self.logs.iter().find_map(|log| log.doubt(max_skipped))
    }
}

impl Totals {
    fn of(replay: &Replay) -> Self {
        let counts = &replay.counts;
        let refused = &counts.refused;
        Self {
            requests: counts.requests,
            passed: counts.passed,
            exempt: counts.exempt,
            refused: counts.requests - counts.passed,
            refused_by_limits: refused.by_limits,
            refused_no_room: refused.no_room,
            refused_in_penalty: refused.in_penalty,
            refused_blocked: refused.blocked,
            refused_ambiguous: refused.ambiguous,
            refused_missing_key: refused.missing_key,
            refused_no_address: refused.no_address,
            would_refuse: counts.would_refuse,
            penalties_begun: counts.penalties_begun,
            with_user: counts.with_user,
            with_host: counts.with_host,
            with_status: counts.with_status,
            answered_429: counts.answered_429,
        }
    }
}

impl LogReport {
    fn of(log: &Log) -> Self {
        let tally = log.tally();
        let skipped = tally.skipped.iter().map(|(why, (lines, first))| SkippedReport {
            why: *why,
            reason: why.reason(),
            lines: *lines,
            first: first.clone(),
            unreadable: why.is_unreadable(),
        });
        Self {
            name: printable::text(log.name()),
            format: log.layout().name(),
            lines: tally.lines,
            requests: tally.requests,
            late: tally.late,
            skipped: skipped.collect(),
            notes: log.notes().to_vec(),
        }
    }

    fn lines_for(&self, reason: Skipped) -> u64 {
        let skipped = self.skipped.iter().filter(|skipped| skipped.why == reason);
        skipped.map(|skipped| skipped.lines).sum()
    }

    fn doubt(&self, max_skipped: u8) -> Option<String> {
        let (requests, name) = (self.requests, &self.name);
        let skipped: u64 = self.skipped.iter().map(|skipped| skipped.lines).sum();
        let unreadable: u64 =
            self.skipped.iter().filter(|skipped| skipped.unreadable).map(|why| why.lines).sum();
        if requests == 0 && skipped > self.lines_for(Skipped::Empty) {
            return Some(format!(
                "{name}: no line could be replayed, read as {}: the reasons are above; `--client` \
                 says where the client stands, `--format` what the format is",
                self.format
            ));
        }
        let without = self.lines_for(Skipped::NoClient);
        if without > requests {
            return Some(format!(
                "{name}: {without} requests have no client, and only {requests} have one: \
                 `--client` says where the client stands"
            ));
        }
        let lines = requests + unreadable;
        let too_many = u128::from(unreadable) * 100 > u128::from(lines) * u128::from(max_skipped);
        too_many.then(|| {
            format!(
                "{name}: {unreadable} of {lines} lines could not be read, which is more than \
                 {max_skipped} %: don't trust the report (`--max-skipped PERCENT` allows more)"
            )
        })
    }
}

/// A time as RFC 3339 has it, in UTC and to the second.
fn rfc3339(at: Timestamp) -> String {
    format!("{}Z", time::format(time::seconds(at)).replace(' ', "T"))
}
