//! What the tests of a replay have in common.

use std::fs;
use std::path::Path;

use clap::Parser;
use tollgate_http::Policy;
use tollgate_http::address::{Network, Prefixes};
use tollgate_server::replay::arguments::LogArguments;
use tollgate_server::replay::input::{Input, Logs, Reading};
use tollgate_server::replay::log::client::Client;
use tollgate_server::replay::{Replay, Report};

/// A log in `data/logs`.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/data/logs").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Real lines: a crawler, a burst of one client, one line that was cut off.
pub(crate) const EXCERPT: &[u8] = include_bytes!("data/access_excerpt.log");

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    logs: LogArguments,
}

/// What these arguments say.
pub(crate) fn arguments(given: &[&str]) -> LogArguments {
    let given = std::iter::once(&"program").chain(given);
    Program::try_parse_from(given).unwrap_or_else(|error| panic!("{error}")).logs
}

/// A policy with one limit, for each client.
pub(crate) fn policy(quota: &str) -> Policy {
    let text = format!(
        "version = 1\nalways = ['client']\n[limits.client]\nquota = '{quota}'\nkey = 'caller'"
    );
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The report on these logs.
pub(crate) fn replay_all(policy: &Policy, logs: &[&[u8]], reading: &Reading) -> Report {
    let input = |(index, log): (usize, &&[u8])| {
        Input::of(format!("log {index}"), std::io::Cursor::new(log.to_vec()))
    };
    let inputs = logs.iter().enumerate().map(input).collect();
    let mut logs = Logs::new(inputs, reading).unwrap_or_else(|error| panic!("{error}"));
    let mut replay = Replay::new(policy).unwrap_or_else(|error| panic!("{error}"));
    replay.run(&mut logs).unwrap_or_else(|error| panic!("{error}"));
    replay.report(&logs, 10)
}

/// The report on one log.
pub(crate) fn replay(policy: &Policy, log: &[u8], reading: &Reading) -> Report {
    replay_all(policy, &[log], reading)
}

/// How lines are read unless an option says otherwise.
pub(crate) fn requests() -> Reading {
    Reading::default()
}

/// A report as a table.
pub(crate) fn table(report: &Report) -> String {
    let mut text = Vec::new();
    report.write_table(&mut text).expect("a vector takes anything");
    String::from_utf8(text).expect("a report is text")
}

/// A line of the combined format, so many seconds after a fixed time.
pub(crate) fn line(second: u64, client: &str, user: &str, request: &str, status: u16) -> String {
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!(
        "{client} - {user} [17/May/2015:{hour:02}:{minute:02}:{second:02} +0000] \"{request} \
         HTTP/1.1\" {status} 5 \"-\" \"-\"\n"
    )
}

/// A client's network, or the name of its host.
pub(crate) fn client(client: &Client<'_>, ipv6: u8) -> String {
    match client {
        Client::Peer(peer) => Network::of(*peer, Prefixes { ipv4: 32, ipv6 }).to_string(),
        Client::Name(name) => String::from_utf8_lossy(name).into_owned(),
    }
}
