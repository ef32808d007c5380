//! `tollgate check --envoy`: files of envoyproxy/ratelimit.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::check::{summary, warns};
use crate::envoy_files;

/// The arguments that are about files of envoyproxy/ratelimit.
#[derive(Debug, Args)]
pub(super) struct EnvoyArguments {
    /// Files of envoyproxy/ratelimit: what is wrong with them, and what means something else here
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) envoy: Vec<PathBuf>,
    /// Print the policy that these files become, as TOML
    #[arg(long, requires = "envoy")]
    print: bool,
}

/// Checks the files, which are one policy together.
pub(super) fn run(arguments: &EnvoyArguments, strict: bool) -> ExitCode {
    let policy = match envoy_files::policy(envoy_files::read_files(&arguments.envoy)) {
        Ok(policy) => policy,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(1);
        }
    };
    let warns = warns(&policy);
    let mut out = io::stdout().lock();
    let written = if arguments.print {
        write!(out, "{policy}")
    } else {
        let names: Vec<_> = arguments.envoy.iter().map(|path| path.display().to_string()).collect();
        writeln!(out, "{}", summary(&names.join(", "), &policy))
    };
    let is_bad = written.is_ok() && strict && warns;
    if is_bad { ExitCode::from(1) } else { super::printed(written) }
}
