//! The store on real servers: what it keeps, what it needs, and what happens if something fails.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "what fails here is a failed test, and tests share modules"
)]

mod access;
mod callers;
mod callers_clock;
mod damage;
mod dropping;
mod errors;
mod kept;
mod outage;
mod promotion;
mod sentinel;
#[cfg(feature = "tls")]
mod tls;

#[path = "../support/mod.rs"]
mod support;
