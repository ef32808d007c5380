//! Reloading: what a new policy keeps, and what it changes (rules L1 to L5).

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod changes;
mod concurrent;
mod invisible;
mod levels;
mod status;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate::{Clock, ManualClock};
use tollgate_http::{Decision, Facts, HttpLimiter, Policy};

/// A policy in TOML; its version is added.
fn policy(text: &str) -> Policy {
    format!("version = 1\n{text}").parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A limiter on a clock that the test moves.
fn limiter(policy: &Policy) -> (HttpLimiter, ManualClock) {
    let clock = ManualClock::new();
    let wall = clock.clone();
    let limiter = HttpLimiter::builder(policy)
        .clock(clock.clone())
        .wall_clock(move || wall_time(&wall))
        .build()
        .unwrap();
    (limiter, clock)
}

fn wall_time(clock: &ManualClock) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(clock.now().as_nanos())
}

/// The facts of a request for `path`.
fn facts(path: &str) -> Facts<'_> {
    Facts::new("GET", path).peer(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn decide(limiter: &HttpLimiter, facts: &Facts<'_>) -> Decision {
    limiter.decide(facts).now().expect("memory answers at once")
}

/// What is left of the first limit after `times` requests of `user`.
fn remaining_after(limiter: &HttpLimiter, user: &str, times: u64) -> u64 {
    let mut left = u64::MAX;
    for _ in 0..times {
        let decision = decide(limiter, &facts("/").user(user));
        left = decision.limits().next().expect("a limit").remaining();
    }
    left
}
