//! Log lines on the standard error output.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::Log;

/// What the limiters inside of the service tell of themselves, such as a quota that was set when
/// the service started, is only written if the settings ask for it.
const OWN: &str = "tollgate::keyed=warn,tollgate::limiters=warn";

/// Writes events of `tracing` from now on, as JSON lines or as text. Does nothing if the program
/// writes them already.
pub fn init(log: &Log) {
    // The settings were checked when they were read.
    let directives = format!("{OWN},{}", log.level);
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    let initialised = if log.json {
        builder.json().flatten_event(true).with_current_span(false).finish().try_init()
    } else {
        builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).finish().try_init()
    };
    // Somebody else writes them already.
    let _ = initialised;
}
