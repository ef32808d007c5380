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
pub fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay/data/logs").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Real lines: a crawler, a burst of one client, one line that was cut off.
pub const EXCERPT: &[u8] = include_bytes!("data/access_excerpt.log");

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    logs: LogArguments,
}

/// What these arguments say.
pub fn arguments(given: &[&str]) -> LogArguments {
    let given = std::iter::once(&"program").chain(given);
    Program::try_parse_from(given).unwrap_or_else(|error| panic!("{error}")).logs
}

/// A policy with one limit, for each client.
pub fn policy(quota: &str) -> Policy {
    let text = format!(
        "version = 1\nalways = ['client']\n[limits.client]\nquota = '{quota}'\nkey = 'caller'"
    );
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// The report on these logs.
pub fn replay_all(policy: &Policy, logs: &[&[u8]], reading: &Reading) -> Report {
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
pub fn replay_with(policy: &Policy, log: &[u8], reading: &Reading) -> Report {
    replay_all(policy, &[log], reading)
}

/// A client's network, or the name of its host.
pub fn client(client: &Client<'_>, ipv6: u8) -> String {
    match client {
        Client::Peer(peer) => Network::of(*peer, Prefixes { ipv4: 32, ipv6 }).to_string(),
        Client::Name(name) => String::from_utf8_lossy(name).into_owned(),
    }
}
