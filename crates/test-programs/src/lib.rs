//! Programs of the system as parts of tests: found, started on free ports, and stopped by their
//! process; and curl as a client.

#![allow(clippy::missing_panics_doc, reason = "a tool that fails is a test that fails")]

mod curl;
mod program;
mod proxies;

use std::time::{Duration, Instant};

pub use curl::{Answer, curl, curl_text};
pub use program::{Program, Signal, find, free_port, has_ipv6, needs, output, say};
pub use proxies::{caddy, haproxy, nginx, traefik};

/// How long anything is waited for before the test fails. It guards against waiting for ever: no
/// test measures time.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until something is so. It is looked at again and again, so it must change nothing that a
/// test looks at.
pub fn until(is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < DEADLINE, "it does not become so");
        std::thread::sleep(Duration::from_millis(5));
    }
}
