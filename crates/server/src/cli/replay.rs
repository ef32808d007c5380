//! `tollgate replay`: what a policy would have done to the requests of access logs.

use std::path::PathBuf;
use std::process::ExitCode;

use tollgate_http::Policy;

use crate::replay::arguments::{FORMATS, LogArguments};
use crate::replay::input::WhichLines;

/// Replays access logs against a policy: what it would have refused, to whom, and which burst would
/// have been enough
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = FORMATS)]
pub struct ReplayArguments {
    /// The policy
    #[arg(value_name = "FILE")]
    pub policy: PathBuf,

    /// The logs, and how they are read and reported.
    #[command(flatten)]
    pub logs: LogArguments,
}

/// Runs the command. The exit code is 0, or 1 if the policy, a log or too many of its lines can't be
/// read.
#[must_use]
pub fn run(arguments: &ReplayArguments) -> ExitCode {
    let policy = match Policy::from_path(&arguments.policy) {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    match arguments.logs.replay(&policy, WhichLines::Requests, "replay") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}
