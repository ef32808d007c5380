//! The program `tollgate` under load, as a process of its own: how fast it is, beside a server that
//! answers a constant and beside other services, and whether it keeps its promises.
//!
//! Build both with `cargo build --release -p tollgate-server -p tollgate-server-bench`. Clients and
//! servers share the machine, so each figure of a server stands beside one of another in the same
//! run, and beside its CPU time for each request.

mod constant;
mod contest;
mod crowd;
mod drain;
mod http2;
mod load;
mod policies;
mod process;
mod rls;
mod soak;
mod speed;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use load::Client;
use speed::Length;

/// Measures the service, and tests it under load.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How often each server has its turn
    #[arg(long, default_value_t = 7, global = true)]
    rounds: u32,
    /// How long a turn is
    #[arg(long, default_value_t = 3, global = true)]
    seconds: u32,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Requests per second over HTTP/1.1, beside a constant answer
    Speed {
        /// Only what has this in its name
        only: Option<String>,
    },
    /// The same over HTTP/2
    Http2 {
        /// Only what has this in its name
        only: Option<String>,
    },
    /// Other services, whose programs are named by `LIMITADOR_SERVER` and `THROTTLECRAB_SERVER`
    Others,
    /// Envoy's protocol, beside a constant answer of tonic, and beside `LIMITADOR_SERVER`
    Rls,
    /// How long a start takes
    Start,
    /// Load and reloads for so many minutes
    Soak { minutes: f64 },
    /// SIGTERM under load
    Drain,
    /// Idle connections
    Idle { count: usize },
    /// Connections that send a byte each second
    Slow { count: usize },
    /// Heads of 1 MB, from so many connections at the same time
    Heads { count: usize },
    /// Streams that are reset, on so many connections
    Resets { connections: usize },
    /// A server that answers what is in a file; for this program itself
    #[command(hide = true)]
    Constant { file: PathBuf },
    /// A server that answers a constant over gRPC; for this program itself
    #[command(hide = true)]
    ConstantRls,
}

fn main() -> ExitCode {
    let Arguments { command, rounds, seconds } = Arguments::parse();
    let length = Length { rounds, seconds };
    let is_well = match command {
        Command::Speed { only } => {
            let client = Client::Wrk { connections: 32 };
            speed::beside_a_constant(client, length, only.as_deref());
            true
        }
        Command::Http2 { only } => {
            let client = Client::H2load { connections: 4, streams: 8 };
            speed::beside_a_constant(client, length, only.as_deref());
            true
        }
        Command::Others => {
            speed::beside_others(length);
            true
        }
        Command::Rls => {
            rls::measure(length);
            true
        }
        Command::Start => {
            start::measure(rounds);
            true
        }
        Command::Soak { minutes } => soak::run(minutes),
        Command::Drain => drain::run(rounds),
        Command::Idle { count } => {
            crowd::idle(count);
            true
        }
        Command::Slow { count } => {
            crowd::slow(count);
            true
        }
        Command::Heads { count } => {
            crowd::heads(count);
            true
        }
        Command::Resets { connections } => {
            crowd::resets(connections);
            true
        }
        Command::Constant { file } => {
            constant::serve(&file);
            true
        }
        Command::ConstantRls => {
            rls::serve_constant();
            true
        }
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
