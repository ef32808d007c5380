//! Limits that processes share through a store: what a client and a limiter do, whatever the store
//! does. The store is one in memory whose answers the tests delay, drop or spoil; time is paused.
#![cfg(feature = "shared")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "shared/answers.rs"]
mod answers;
#[path = "shared/batches.rs"]
mod batches;
#[path = "shared/cancelling.rs"]
mod cancelling;
#[path = "shared/divided_store.rs"]
mod divided_store;
#[path = "shared/leases.rs"]
mod leases;
#[cfg(feature = "metrics")]
#[path = "shared/metrics.rs"]
mod metrics_of_clients;
#[path = "shared/outages.rs"]
mod outages;
#[path = "shared/refusals.rs"]
mod refusals;
#[path = "shared/runtimes.rs"]
mod runtimes;
#[path = "shared/several.rs"]
mod several;
#[path = "shared/threads.rs"]
mod threads;
#[path = "shared/unruly_store.rs"]
mod unruly_store;
#[path = "shared/waits.rs"]
mod waits;
