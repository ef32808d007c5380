//! What the tests over the network share: servers with the layer, programs that are started and
//! stopped, and curl as a client.
//!
//! Each test starts all that it needs on loopback, on ports of its own, with its configuration in
//! a temporary folder, and ends it when the test ends or panics.

#![allow(clippy::missing_panics_doc, reason = "a tool that fails is a test that fails")]

mod server;
mod site;

pub use server::Server;
pub use site::{Calls, count_statuses, frozen_limiter, left, limiter, tell};
pub use tollgate_test_programs::{
    Answer, DEADLINE, Program, curl, curl_text, find, free_port, haproxy, has_ipv6, needs, nginx,
    output, say,
};
