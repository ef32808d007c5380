//! Programs of the system as parts of tests: found, started on free ports, and stopped by their
//! process; and curl as a client.

#![allow(clippy::missing_panics_doc, reason = "a tool that fails is a test that fails")]

mod curl;
mod program;
mod proxies;

use std::time::Duration;

pub use curl::{Answer, curl, curl_text};
pub use program::{Program, Signal, find, free_port, has_ipv6, needs, output, say};
pub use proxies::{caddy, haproxy, nginx};

/// How long anything is waited for before the test fails. It guards against waiting for ever: no
/// test measures time.
pub const DEADLINE: Duration = Duration::from_secs(60);
