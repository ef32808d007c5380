//! The program `tollgate`: its arguments, and what each command does.

mod check;
mod check_envoy;
mod explain;
mod init;
mod replay;
mod serve;
mod shells;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::envoy_files;
use crate::settings::ConfigFile;

/// Rate limits as a service.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, about, long_about = None, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers checks of requests over HTTP and Envoy's protocol, until SIGTERM
    Serve(serve::ServeArguments),
    /// Checks files: all problems with their places, and exit code 1 if there is one
    Check(check::CheckArguments),
    /// Explains what a policy does with one request, and why
    Explain(explain::ExplainArguments),
    /// Replays access logs: what a policy would have done to real traffic
    Replay(replay::ReplayArguments),
    /// Writes a file with comments, to begin with
    Init(init::InitArguments),
    /// Prints the completions for a shell
    Completions(shells::CompletionsArguments),
    /// Prints the page of the manual, in the format of `man`
    Manual,
}

/// Does what the arguments say. The exit code is 0 if all is well, 1 if a file has problems or the
/// service can't start, and 2 if the arguments are wrong.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Init(arguments) => init::run(arguments),
        Command::Completions(arguments) => shells::completions(arguments),
        Command::Manual => shells::manual(),
    }
}

/// Reads a file of the service.
///
/// # Errors
///
/// What to tell the user: all problems of the file, or that it is one of envoyproxy/ratelimit.
/// Nothing that such a file has is a setting of tollgate, so its problems would say nothing.
fn read(path: &Path) -> Result<ConfigFile, String> {
    ConfigFile::read(path).map_err(|error| {
        if !envoy_files::is_one(path) {
            return error.to_string();
        }
        let path = path.display();
        format!(
            "{path}: this is a file of envoyproxy/ratelimit, and not one of tollgate: check it by \
             `tollgate check --envoy {path}`, and name it as one of `files` in `[server.envoy]` of a \
             file of tollgate"
        )
    })
}

/// The exit code after writing to the standard output. Whoever reads it may have seen enough.
fn printed(written: std::io::Result<()>) -> ExitCode {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("tollgate: the output can't be written: {error}");
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}
