//! The command line.

use std::ffi::OsString;

use tollgate::Quota;

use crate::client::{Addresses, Forwarded};
use crate::layout::Hints;

pub const HELP: &str = "\
Replays a web access log against a rate limit per client address.

Usage: replay [OPTIONS] [LOG]

  LOG                  an access log; `-` or nothing: standard input
  --quota QUOTA        per client, such as `60/min burst 20` (the default), `5/s`, `10 per hour`
  --format FORMAT      the format of the log, as nginx's `log_format`, Apache's `LogFormat` or
                       Envoy's `text_format` writes it
  --client FIELD       where the client stands: the number of a field from 1 (a text in quotes or
                       brackets is one field), or the name of a field of the format, a key of the
                       JSON (`request.client_ip` leads into an object), or a column
  --time FIELD         the same for the time, of JSON lines or with `--format`
  --forwarded WHICH    which address of a list such as X-Forwarded-For is the client: `first` (the
                       default, which a client can forge), `last`, or a number: 2 is the second, -2
                       the last but one
  --ipv6-prefix BITS   tells IPv6 clients apart by these bits of their address (default 64)
  --max-skipped PERCENT
                       fails if more lines than that can't be read (default 10)
  --help               this text

Without `--format`, the first lines tell the format. Known are: common and combined, with a virtual
host in front or anything behind the request; JSON lines (nginx, Caddy, Traefik, Envoy, Cloudflare);
W3C (IIS, CloudFront); HAProxy, Envoy, Istio, Apache's ssl_request_log, AWS load balancers, S3.
Notes on standard error say what was assumed.

The clock is the log's own. Times older than the newest seen count as the newest.
Exit code: 0, or 1 if the log or too many of its lines can't be read, or 2 for wrong arguments.
";

const DEFAULT_QUOTA: Quota = Quota::per_minute(60).burst(20);

/// What to do.
#[derive(Debug)]
pub enum Command {
    Help,
    Replay(Options),
}

#[derive(Debug)]
pub struct Options {
    pub quota: Quota,
    /// Standard input, if there is none.
    pub path: Option<OsString>,
    pub hints: Hints,
    pub addresses: Addresses,
    /// Whether the user said which address of a list counts.
    pub forwarded_given: bool,
    /// In percent.
    pub max_skipped: u8,
}

pub fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut read = Options {
        quota: DEFAULT_QUOTA,
        path: None,
        hints: Hints::default(),
        addresses: Addresses::default(),
        forwarded_given: false,
        max_skipped: 10,
    };
    let mut options = true;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if !options || text == "-" || !text.starts_with('-') {
            if read.path.replace(argument).is_some() {
                return Err("more than one log".to_owned());
            }
            continue;
        }
        if text == "--" {
            options = false;
            continue;
        }
        if text == "--help" || text == "-h" {
            return Ok(Command::Help);
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.into_owned(), None),
        };
        let value = || {
            let next = || arguments.next().map(|value| value.to_string_lossy().into_owned());
            value.or_else(next).ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--quota" => read.quota = quota(&value()?)?,
            "--format" => read.hints.format = Some(value()?),
            "--client" => read.hints.client = Some(value()?),
            "--time" => read.hints.time = Some(value()?),
            "--forwarded" => {
                read.addresses.forwarded = forwarded(&value()?)?;
                read.forwarded_given = true;
            }
            "--ipv6-prefix" => read.addresses.ipv6_prefix = number(&name, &value()?, 128)?,
            "--max-skipped" => read.max_skipped = number(&name, &value()?, 100)?,
            _ => return Err(format!("unknown option `{name}`")),
        }
    }
    read.path = read.path.filter(|path| path != "-");
    Ok(Command::Replay(read))
}

fn quota(text: &str) -> Result<Quota, String> {
    text.parse().map_err(|error| format!("quota `{text}`: {error}"))
}

fn number(name: &str, text: &str, most: u8) -> Result<u8, String> {
    let number = text.trim_start_matches('/').trim_end_matches('%').parse().ok();
    number
        .filter(|&number| number <= most)
        .ok_or_else(|| format!("{name} `{text}`: give a whole number from 0 to {most}"))
}

fn forwarded(text: &str) -> Result<Forwarded, String> {
    let bad = || format!("--forwarded `{text}`: give `first`, `last`, or a number such as 2 or -2");
    match text {
        "first" => Ok(Forwarded::FromStart(0)),
        "last" => Ok(Forwarded::FromEnd(0)),
        _ => match text.strip_prefix('-') {
            Some(number) => number
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1))
                .map(Forwarded::FromEnd),
            None => text
                .parse::<usize>()
                .ok()
                .and_then(|number| number.checked_sub(1))
                .map(Forwarded::FromStart),
        }
        .ok_or_else(bad),
    }
}
