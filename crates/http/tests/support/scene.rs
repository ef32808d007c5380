//! A limiter on clocks that the test moves, and requests for it.

#![allow(dead_code, reason = "no test needs all of it")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tollgate::{Clock, ManualClock};
use tollgate_http::engine::HttpLimiterBuilder;
use tollgate_http::{Decision, Facts, HttpLimiter, Policy};

/// A policy in TOML; its version is added.
pub(crate) fn policy(text: &str) -> Policy {
    format!("version = 1\n{text}").parse().unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The builder of a limiter, and its clock. The day begins one hour after 1970.
pub(crate) fn builder(policy: &Policy) -> (HttpLimiterBuilder, ManualClock) {
    let clock = ManualClock::new();
    let wall = clock.clone();
    let builder = HttpLimiter::builder(policy).clock(clock.clone());
    (builder.wall_clock(move || wall_time(&wall)), clock)
}

/// A limiter and its clock.
pub(crate) fn limiter(policy: &Policy) -> (HttpLimiter, ManualClock) {
    let (builder, clock) = builder(policy);
    (builder.build().expect("memory keeps all limits"), clock)
}

/// The time of day of a limiter with this clock.
pub(crate) fn wall_time(clock: &ManualClock) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(3600) + Duration::from_nanos(clock.now().as_nanos())
}

/// The facts of a request for `path`.
pub(crate) fn facts(path: &str) -> Facts<'_> {
    Facts::new("GET", path).peer(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

pub(crate) fn decide(limiter: &HttpLimiter, facts: &Facts<'_>) -> Decision {
    limiter.decide(facts).now().expect("memory answers at once")
}
