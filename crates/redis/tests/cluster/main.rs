//! The store in real clusters.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "what fails here is a failed test, and tests share modules"
)]

// Its macros are used below.
#[path = "../../../../tests/support/shared_store/mod.rs"]
#[allow(unused_macros, reason = "the checks run one after the other here")]
#[macro_use]
mod shared_store;

mod access;
mod limiter;
mod migration;
mod outage;
mod several;
mod suite;
#[cfg(feature = "tls")]
mod tls;

#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use tollgate_redis::{Builder, Redis};

/// Enough for a busy machine.
const PATIENT: Duration = Duration::from_secs(10);

/// A store in a cluster, with deadlines that a busy machine keeps.
fn patient(cluster: &support::cluster::Cluster) -> Builder {
    Redis::cluster(cluster.urls()).deadline(PATIENT).connect_deadline(PATIENT)
}
