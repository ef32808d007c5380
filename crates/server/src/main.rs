//! The program `tollgate`.

use std::process::ExitCode;

use clap::Parser as _;
use tollgate_server::cli::{Arguments, run};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(&Arguments::parse())
}
