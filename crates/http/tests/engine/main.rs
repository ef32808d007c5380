//! The engine: decisions against a plain model, and at its edges.

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod against_model;
mod concurrent;
mod dice;
mod explain;
mod failing_stores;
mod levels;
mod model;
mod penalty;
mod scenario;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/stores.rs"]
mod stores;
