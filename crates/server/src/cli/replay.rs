//! `tollgate replay`: what a policy would have done to the requests of access logs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::replay::arguments::{FORMATS, LogArguments};
use crate::replay::input::WhichLines;

/// The arguments of `tollgate replay`.
#[derive(Debug, Args)]
#[command(after_long_help = FORMATS)]
pub(super) struct ReplayArguments {
    /// The policy
    file: PathBuf,
    #[command(flatten)]
    logs: LogArguments,
}

/// Runs the command. The exit code is 0, or 1 if the policy, a log or too many of its lines can't
/// be read.
pub(super) fn run(arguments: &ReplayArguments) -> ExitCode {
    let policy = match super::read(&arguments.file) {
        Ok(file) => file.policy,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(1);
        }
    };
    match arguments.logs.replay(&policy, WhichLines::Requests, "tollgate") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate: {error}");
            ExitCode::from(1)
        }
    }
}
