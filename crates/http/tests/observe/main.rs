//! What a limiter tells of its decisions: metrics and violations.

#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod hook;
#[cfg(feature = "metrics")]
mod labels;
#[cfg(feature = "metrics")]
mod measured;
#[cfg(feature = "metrics")]
mod metrics;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/until.rs"]
mod until;

use scene::{builder, decide, facts, policy};
