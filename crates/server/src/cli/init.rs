//! `tollgate init`: a file with comments, to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// The file that is written.
pub(super) const SAMPLE: &str = include_str!("../../tollgate.toml");

/// The arguments of `tollgate init`.
#[derive(Debug, Args)]
pub(super) struct InitArguments {
    /// Where; `-` for the standard output
    #[arg(default_value = "tollgate.toml")]
    file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &InitArguments) -> ExitCode {
    if arguments.file.as_os_str() == "-" {
        return super::printed(io::stdout().lock().write_all(SAMPLE.as_bytes()));
    }
    if arguments.file.extension().is_none_or(|end| end != "toml") {
        eprintln!("tollgate: the file is TOML, so its name must end with `.toml`");
        return ExitCode::from(2);
    }
    let mut options = OpenOptions::new();
    options.write(true).truncate(true).create(true).create_new(!arguments.force);
    let (written, path) = (options.open(&arguments.file), arguments.file.display());
    match written.and_then(|mut file| file.write_all(SAMPLE.as_bytes())) {
        Ok(()) => {
            println!("{path}: written. Next: tollgate serve --config {path}");
            ExitCode::SUCCESS
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            eprintln!("tollgate: {path} is there already: add --force to replace it");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("tollgate: {path} can't be written: {error}");
            ExitCode::from(1)
        }
    }
}
