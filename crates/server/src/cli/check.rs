//! `tollgate check`: all problems of files, with their places.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::check_envoy::{self, EnvoyArguments};
use crate::settings::ConfigFile;

/// The arguments of `tollgate check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The files: policies, with or without the settings of the service
    #[arg(required_unless_present = "envoy", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    envoy: EnvoyArguments,
    /// Fail if there are warnings
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let (mut has_problems, mut out) = (false, io::stdout().lock());
    for path in &arguments.files {
        match ConfigFile::read(path) {
            Ok(file) => {
                let warnings = file.policy.warnings();
                for warning in warnings {
                    eprintln!("warning: {warning}");
                }
                has_problems |= arguments.strict && !warnings.is_empty();
                let (name, hash) = (path.display(), file.policy.hash());
                let limits = file.policy.limit_names().count();
                if let Err(error) = writeln!(out, "{name}: policy {hash} with {limits} limits") {
                    return super::printed(Err(error));
                }
            }
            Err(error) => {
                has_problems = true;
                eprintln!("{error}");
            }
        }
    }
    if !arguments.envoy.envoy.is_empty()
        && check_envoy::run(&arguments.envoy, arguments.strict) != ExitCode::SUCCESS
    {
        has_problems = true;
    }
    if has_problems { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
