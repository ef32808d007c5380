//! `tollgate check`: all problems of files, with their places.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tollgate_http::Policy;

use super::check_envoy::{self, EnvoyArguments};
use crate::admin::Token;

/// The arguments of `tollgate check`.
#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The files: policies, with or without the settings of the service; `tollgate.toml` if none is
    /// given
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    envoy: EnvoyArguments,
    /// Fail if there are warnings
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(arguments: &CheckArguments) -> ExitCode {
    let (mut has_problems, mut out) = (false, io::stdout().lock());
    let usual = [PathBuf::from("tollgate.toml")];
    let is_usual = arguments.files.is_empty() && arguments.envoy.envoy.is_empty();
    for path in if is_usual { &usual[..] } else { &arguments.files } {
        match super::read(path) {
            Ok(file) => {
                has_problems |= warns(&file.policy) && arguments.strict;
                let token = file.settings.admin.token_file.as_deref().map(Token::read);
                if let Some(Err(error)) = token {
                    has_problems = true;
                    eprintln!("{error}");
                }
                let summary = summary(&path.display().to_string(), &file.policy);
                if let Err(error) = writeln!(out, "{summary}") {
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

/// Tells the warnings of a policy, and whether there are any.
pub(super) fn warns(policy: &Policy) -> bool {
    for warning in policy.warnings() {
        eprintln!("warning: {warning}");
    }
    !policy.warnings().is_empty()
}

/// What is told of a policy that is right.
pub(super) fn summary(name: &str, policy: &Policy) -> String {
    format!("{name}: policy {} with {} limits", policy.hash(), policy.limits().len())
}
