//! The layer for servers: cancelled, failing, doubled, with handles, and under hostile requests.

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod bodies;
mod cancelling;
mod contract;
mod failing;
mod fields;
mod handles;
mod hostile;
mod probe;
#[path = "../support/scene.rs"]
mod scene;
mod secrets;
#[path = "../support/stores.rs"]
mod stores;
mod twice;
