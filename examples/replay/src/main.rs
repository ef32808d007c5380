//! What would a quota have done? Replays a web server's access log against a rate limit per client.
//!
//! `cargo run --release -p tollgate-replay -- --quota "60/min burst 20" access.log`

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use tollgate_replay::arguments::{self, Command, HELP, Options};
use tollgate_replay::run::Replay;
use tollgate_replay::{layout, parse, report};

fn main() -> ExitCode {
    let options = match arguments::read(std::env::args_os().skip(1)) {
        Ok(Command::Replay(options)) => options,
        Ok(Command::Help) => return printed(io::stdout().write_all(HELP.as_bytes())),
        Err(message) => {
            eprintln!("replay: {message}\nTry `--help`.");
            return ExitCode::from(2);
        }
    };
    let log = match read(options.path.as_ref()) {
        Ok(log) => log,
        Err(error) => {
            let path = options.path.map(std::path::PathBuf::from);
            let name = path.map_or("standard input".into(), |path| path.display().to_string());
            eprintln!("replay: can't read {name}: {error}");
            return ExitCode::from(1);
        }
    };
    match replay(&options, &log) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("replay: {message}");
            ExitCode::from(1)
        }
    }
}

/// Replays the log and prints the report. An error is a message: what can't be trusted is said.
fn replay(options: &Options, log: &[u8]) -> Result<ExitCode, String> {
    let found = layout::find(log, &options.hints)?;
    for note in &found.notes {
        eprintln!("replay: note: {note}");
    }
    let mut replay = Replay::new(options.quota, found.layout, options.addresses)
        .map_err(|error| error.to_string())?;
    feed(&mut replay, log);

    let tally = replay.tally();
    if tally.lists > 0 && !options.forwarded_given {
        eprintln!(
            "replay: note: lines whose client is a list of addresses: {}; the first address is \
             taken (`--forwarded last` takes the last)",
            tally.lists
        );
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let code = printed(report::write(&mut out, &replay).and_then(|()| out.flush()));
    if let Some(message) = report::doubt(&replay, options.max_skipped) {
        return Err(message);
    }
    Ok(code)
}

fn read(path: Option<&OsString>) -> io::Result<Vec<u8>> {
    if let Some(path) = path {
        return fs::read(path);
    }
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        eprintln!("replay: reading a log from the keyboard; end it with Ctrl-D");
    }
    let mut log = Vec::new();
    stdin.read_to_end(&mut log)?;
    Ok(log)
}

/// Replays all lines, with a progress bar if standard error is a terminal.
fn feed<'a>(replay: &mut Replay<'a>, log: &'a [u8]) {
    // A bar draws nothing by itself where there is no terminal.
    let bar = ProgressBar::new(log.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3}% {bytes_per_sec}") {
        bar.set_style(style);
    }
    let mut done = 0;
    for line in parse::lines(log) {
        replay.line(line);
        done += line.len() as u64 + 1;
        if replay.tally().lines % (1 << 16) == 0 {
            bar.set_position(done);
        }
    }
    bar.finish_and_clear();
}

/// Success, also when whoever reads the output has seen enough of it.
fn printed(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("replay: can't write the report: {error}");
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}
