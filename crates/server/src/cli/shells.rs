//! Completions for shells, and the page of the manual.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Arguments;

/// The arguments of `tollgate completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    // The crate panics if it can't write, so it writes to memory.
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "tollgate", &mut text);
    super::printed(io::stdout().lock().write_all(&text))
}

pub(super) fn manual() -> ExitCode {
    let command = Arguments::command();
    let mut text = Vec::new();
    let mut made = clap_mangen::Man::new(command.clone()).render(&mut text);
    // The pages of the commands follow, because there is only one file.
    for subcommand in command.get_subcommands() {
        let name = format!("tollgate-{}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone()).title(name);
        made = made.and_then(|()| page.render(&mut text));
    }
    super::printed(made.and_then(|()| io::stdout().lock().write_all(&text)))
}
