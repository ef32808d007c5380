//! The program `tollgate`.

use std::process::ExitCode;

use clap::Parser as _;
use tollgate_server::cli::{Arguments, run};

fn main() -> ExitCode {
    run(&Arguments::parse())
}
