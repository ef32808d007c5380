//! What the tests over the network share: servers with the layer, programs that are started and
//! stopped, and curl as a client.
//!
//! Each test starts all that it needs on loopback, on ports of its own, with its configuration in
//! a temporary folder, and ends it when the test ends or panics.

#![allow(clippy::missing_panics_doc, reason = "a tool that fails is a test that fails")]

mod curl;
mod program;
mod server;
mod site;

use std::time::Duration;

pub use curl::{Answer, curl, curl_text};
pub use program::{Program, find, free_port, has_ipv6, needs, output, say};
pub use server::Server;
pub use site::{Calls, count_statuses, frozen_limiter, left, limiter, tell};

/// How long anything is waited for before the test fails. It guards against waiting for ever: no
/// test measures time.
pub const DEADLINE: Duration = Duration::from_secs(60);
