//! What the command line says about the logs, and everything from there to the printed report.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use tollgate_http::{BuildError, Policy};

use super::input::{Input, LogError, Logs, Reading, WhichLines};
use super::log::client::{Addresses, Forwarded};
use super::log::layout::Hints;
use super::{Replay, Report};

/// What can be said about logs, for `--help`.
pub const FORMATS: &str = "\
Without `--format`, the first lines of each log tell its format. Known are: common and combined, \
with a virtual host in front or anything behind the request; JSON lines (nginx, Caddy, Traefik, \
Envoy, Cloudflare); W3C (IIS, CloudFront); HAProxy, Envoy, Istio, Apache's ssl_request_log, AWS \
load balancers, S3. Notes on standard error say what was assumed.

The clock is the logs' own. Several logs are merged by time. Lines may be up to 60 seconds behind \
the ones before them; those that are older count as made at the newest time.

Exit code: 0, or 1 if the policy, a log or too many of its lines can't be read, or 2 for wrong \
arguments.";

/// The logs, and how they are read and reported.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArguments {
    /// Access logs, compressed by gzip or not; `-` or nothing: standard input
    #[arg(value_name = "LOG")]
    pub logs: Vec<PathBuf>,

    /// The format of the logs, as nginx's `log_format`, Apache's `LogFormat` or Envoy's
    /// `text_format` writes it
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,

    /// Where the client stands: the number of a field from 1 (a text in quotes or brackets is one
    /// field), or the name of a field of the format, a key of the JSON (`request.client_ip` leads
    /// into an object), or a column
    #[arg(long, value_name = "FIELD")]
    pub client: Option<String>,

    /// The same for the time, of JSON lines or with `--format`
    #[arg(long, value_name = "FIELD")]
    pub time: Option<String>,

    /// Which address of a list such as X-Forwarded-For is the client: `first` (the default, which a
    /// client can forge), `last`, or a number: 2 is the second, -2 the last but one
    #[arg(long, value_name = "WHICH", value_parser = forwarded, allow_negative_numbers = true)]
    pub forwarded: Option<Forwarded>,

    /// Fails if more lines than that can't be read
    #[arg(long, value_name = "PERCENT", default_value_t = 10,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    pub max_skipped: u8,

    /// How many keys and callers are listed
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    pub top: usize,

    /// Shows keyed hashes instead of users and addresses; they are other ones in each run
    #[arg(long)]
    pub hash_keys: bool,

    /// Prints the report as one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Why there is no report, or one that can't be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// No limiter can be built of the policy.
    #[error(transparent)]
    Policy(#[from] BuildError),
    /// Too little of the logs could be read; the report is printed.
    #[error("{0}")]
    Doubt(String),
    /// The report can't be printed.
    #[error("can't write the report: {0}")]
    Output(#[from] io::Error),
}

impl LogArguments {
    /// Replays the logs under `policy` and prints the report on standard output, and notes, which
    /// begin with `program`, on standard error.
    ///
    /// # Errors
    ///
    /// If there is no report, or one that can't be trusted.
    pub fn replay(
        &self,
        policy: &Policy,
        lines: WhichLines,
        program: &str,
    ) -> Result<(), ReplayError> {
        let bar = progress_bar();
        let result = self.report(policy, lines, program, &bar);
        bar.finish_and_clear();
        let report = result?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        let written =
            if self.json { report.write_json(&mut out) } else { report.write_table(&mut out) };
        match written.and_then(|()| out.flush()) {
            // Whoever reads the output has seen enough of it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        report.doubt(self.max_skipped).map_or(Ok(()), |doubt| Err(ReplayError::Doubt(doubt)))
    }

    fn report(
        &self,
        policy: &Policy,
        lines: WhichLines,
        program: &str,
        bar: &ProgressBar,
    ) -> Result<Report, ReplayError> {
        let mut logs = Logs::new(self.inputs(program, bar)?, &self.reading(lines))?;
        let mut replay = Replay::new(policy)?;
        if self.hash_keys {
            replay = replay.hash_keys();
        }
        // A bar that is drawn and a note would stand in the same line.
        bar.suspend(|| {
            for log in logs.logs() {
                for note in log.notes() {
                    eprintln!("{program}: note: {}: {note}", log.name());
                }
            }
        });
        replay.run(&mut logs)?;
        let lists: u64 = logs.logs().iter().map(|log| log.tally().lists).sum();
        if lists > 0 && self.forwarded.is_none() {
            bar.suspend(|| {
                eprintln!(
                    "{program}: note: lines whose client is a list of addresses: {lists}; the first \
                     address is taken (`--forwarded last` takes the last)"
                );
            });
        }
        Ok(replay.report(&logs, self.top))
    }

    /// How lines are read.
    #[must_use]
    pub fn reading(&self, lines: WhichLines) -> Reading {
        let hints = Hints {
            format: self.format.clone(),
            client: self.client.clone(),
            time: self.time.clone(),
        };
        let addresses = Addresses { forwarded: self.forwarded.unwrap_or_default() };
        Reading { hints, addresses, lines }
    }

    fn inputs(&self, program: &str, bar: &ProgressBar) -> Result<Vec<Input>, LogError> {
        let standard_input = [PathBuf::from("-")];
        let paths = if self.logs.is_empty() { &standard_input[..] } else { &self.logs };
        if paths.iter().any(|path| path.as_os_str() == "-") && io::stdin().is_terminal() {
            eprintln!("{program}: reading a log from the keyboard; end it with Ctrl-D");
        }
        paths.iter().map(|path| Input::open(path, bar)).collect()
    }
}

/// A bar that draws nothing where standard error is no terminal.
fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{wide_bar} {percent:>3}% {bytes_per_sec}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn forwarded(text: &str) -> Result<Forwarded, String> {
    let place = |number: &str| number.parse::<usize>().ok()?.checked_sub(1);
    let which = match (text, text.strip_prefix('-')) {
        ("first", _) => Some(Forwarded::FromStart(0)),
        ("last", _) => Some(Forwarded::FromEnd(0)),
        (_, Some(number)) => place(number).map(Forwarded::FromEnd),
        (_, None) => place(text).map(Forwarded::FromStart),
    };
    which.ok_or_else(|| "give `first`, `last`, or a number such as 2 or -2".to_owned())
}
