//! What LLM limits tell. A binary of its own: beside tests that listen to nobody, tracing may take events for unwanted.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "../support/recorder.rs"]
mod recorder;
mod told;
