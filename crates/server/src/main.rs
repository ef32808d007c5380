//! The program `tollgate`.

use clap::{Parser, Subcommand};
use tollgate_server::cli::replay;

/// Rate limits as a service.
#[derive(Parser)]
struct Tollgate {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Replay(replay::ReplayArguments),
}

fn main() -> std::process::ExitCode {
    let Command::Replay(arguments) = Tollgate::parse().command;
    replay::run(&arguments)
}
