//! `tollgate explain`: what a policy does with one request, and why.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_http::address::Peer;
use tollgate_http::{Facts, HttpLimiter, Outcome};

/// The arguments of `tollgate explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The policy
    #[arg(default_value = "tollgate.toml")]
    file: PathBuf,
    /// The method
    #[arg(long, default_value = "GET")]
    method: String,
    /// The path, as a client sends it
    #[arg(long, default_value = "/")]
    path: String,
    /// The host
    #[arg(long)]
    host: Option<String>,
    /// The other end of the connection: an address, or `unix`
    #[arg(long, value_parser = crate::web::parse_address)]
    address: Option<Peer>,
    /// A header, such as `x-forwarded-for: 203.0.113.7`; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The user
    #[arg(long)]
    user: Option<String>,
    /// The API key. Other users of the machine can see the arguments of a program
    #[arg(long)]
    api_key: Option<String>,
    /// The tier that the application says
    #[arg(long)]
    tier: Option<String>,
}

/// A header as a client writes it.
fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `NAME: VALUE`")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

pub(super) fn run(arguments: &ExplainArguments) -> ExitCode {
    let built = super::read(&arguments.file)
        .and_then(|file| HttpLimiter::new(&file.policy).map_err(|error| error.to_string()));
    let limiter = match built {
        Ok(limiter) => limiter,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(1);
        }
    };
    let headers: HeaderMap = arguments.headers.iter().cloned().collect();
    let facts = facts(arguments, &headers);
    // The buckets are in memory, which answers at once.
    let Some(explanation) = limiter.explain(&facts) else { return ExitCode::from(1) };
    if explanation.outcome() == Outcome::NoPeer {
        eprintln!("tollgate: the policy needs the client's address: add `--address`");
        return ExitCode::from(2);
    }
    let mut out = io::stdout().lock();
    let client = limiter.client(&facts).map_or_else(|| "not known".to_owned(), shown);
    let written = writeln!(out, "client:  {client}");
    super::printed(written.and_then(|()| write!(out, "{explanation}")))
}

/// An address as it is written.
fn shown(client: Peer) -> String {
    match client {
        Peer::Ip(address) => address.to_string(),
        Peer::Unix => "unix".to_owned(),
    }
}

fn facts<'a>(arguments: &'a ExplainArguments, headers: &'a HeaderMap) -> Facts<'a> {
    let mut facts = Facts::new(&arguments.method, &arguments.path).headers(headers);
    if let Some(host) = &arguments.host {
        facts = facts.host(host);
    }
    if let Some(address) = arguments.address {
        facts = facts.peer(address);
    }
    if let Some(user) = &arguments.user {
        facts = facts.user(user.as_str());
    }
    if let Some(key) = &arguments.api_key {
        facts = facts.api_key(key);
    }
    if let Some(tier) = &arguments.tier {
        facts = facts.tier(tier);
    }
    facts
}
