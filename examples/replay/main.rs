//! What would a quota have done? Replays a web server's access log against a rate limit per client.
//!
//! `cargo run --release --example replay -- --quota "60/min burst 20" access.log`
//!
//! * [`parse`]: a line to a client and a time, whatever the line holds;
//! * [`time`]: its date to seconds;
//! * [`run`]: the buckets and the counts;
//! * [`report`]: the result as text.

mod parse;
mod report;
mod run;
mod time;

use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use run::Replay;
use tollgate::Quota;

const HELP: &str = "\
Replays a web access log against a rate limit per client address.

Usage: replay [--quota QUOTA] [LOG]

  LOG             an access log in the common or combined format; `-` or nothing: standard input
  --quota QUOTA   per client, such as `60/min burst 20` (the default), `5/s`, `1000/day`
  --help          this text

The clock is the log's own. Times older than the newest seen count as the newest.
Exit code: 0, or 1 if the log can't be read, or 2 for wrong arguments.
";

const DEFAULT_QUOTA: Quota = Quota::per_minute(60).burst(20);

/// What to do.
enum Command {
    Help,
    Replay {
        quota: Quota,
        /// Standard input, if there is none.
        path: Option<OsString>,
    },
}

fn main() -> ExitCode {
    let (quota, path) = match arguments(std::env::args_os().skip(1)) {
        Ok(Command::Replay { quota, path }) => (quota, path),
        Ok(Command::Help) => return printed(io::stdout().write_all(HELP.as_bytes())),
        Err(message) => {
            eprintln!("replay: {message}\nTry `--help`.");
            return ExitCode::from(2);
        }
    };
    let log = match read(path.as_ref()) {
        Ok(log) => log,
        Err(error) => {
            let name = path.map_or("standard input".into(), |path| format!("{}", path.display()));
            eprintln!("replay: can't read {name}: {error}");
            return ExitCode::from(1);
        }
    };
    let mut replay = match Replay::new(quota) {
        Ok(replay) => replay,
        Err(error) => {
            eprintln!("replay: {error}");
            return ExitCode::from(2);
        }
    };
    feed(&mut replay, &log);

    let mut out = io::BufWriter::new(io::stdout().lock());
    let code = printed(report::write(&mut out, &replay).and_then(|()| out.flush()));
    if replay.tally().requests == 0 && replay.tally().malformed > 0 {
        eprintln!("replay: no line looks like an access log");
        return ExitCode::from(1);
    }
    code
}

fn arguments(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let (mut quota, mut path, mut options) = (DEFAULT_QUOTA, None, true);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if !options || text == "-" || !text.starts_with('-') {
            if path.replace(argument).is_some() {
                return Err("more than one log".to_owned());
            }
        } else if text == "--" {
            options = false;
        } else if text == "--help" || text == "-h" {
            return Ok(Command::Help);
        } else if text == "--quota" {
            let value = arguments.next().ok_or("--quota needs a value")?;
            quota = parse_quota(&value.to_string_lossy())?;
        } else if let Some(value) = text.strip_prefix("--quota=") {
            quota = parse_quota(value)?;
        } else {
            return Err(format!("unknown option `{text}`"));
        }
    }
    Ok(Command::Replay { quota, path: path.filter(|path| path != "-") })
}

fn parse_quota(text: &str) -> Result<Quota, String> {
    text.parse().map_err(|error| format!("quota `{text}`: {error}"))
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
        if replay.tally().lines.is_multiple_of(1 << 16) {
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
