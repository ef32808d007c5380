//! What would a quota have done? Replays a web server's access log against a rate limit per client.
//!
//! `cargo run --release -p tollgate-replay -- --quota "60/min burst 20" access.log`
//!
//! The program `tollgate` has a command `replay` for a whole policy. This example makes the policy
//! of one limit, and uses the same library.

use std::process::ExitCode;

use clap::Parser;
use tollgate_http::Quota;
use tollgate_http::policy::{KeyPart, Limit, Policy};
use tollgate_server::replay::arguments::{FORMATS, LogArguments};
use tollgate_server::replay::input::WhichLines;

/// Replays web access logs against a rate limit per client address.
#[derive(Debug, Parser)]
#[command(name = "replay", after_long_help = FORMATS)]
struct Arguments {
    /// Per client, such as `60/min burst 20`, `5/s`, `10 per hour`
    #[arg(long, default_value = "60/min burst 20")]
    quota: Quota,

    /// Tells IPv6 clients apart by these bits of their address
    #[arg(long, value_name = "BITS", default_value_t = 64,
          value_parser = clap::value_parser!(u8).range(32..=128))]
    ipv6_prefix: u8,

    #[command(flatten)]
    logs: LogArguments,
}

fn main() -> ExitCode {
    match replay(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // A client without an address is a user: a host whose name the server has looked up.
    let limit = Limit::new("client", arguments.quota)
        .key([KeyPart::Caller])
        .ipv6_prefix(arguments.ipv6_prefix);
    let policy = Policy::builder().limit(limit).always(["client"]).build()?;
    Ok(arguments.logs.replay(&policy, WhichLines::Clients, "replay")?)
}
