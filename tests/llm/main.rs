//! LLM limits: what is taken, given back, waited for and learned.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod beside;
mod calls;
mod conserved;
mod keys;
mod late;
#[cfg(feature = "tokio")]
mod lines;
mod observing;
mod reentrancy;
mod reserving;
mod resting;
mod server_wait;
mod settling;
#[cfg(feature = "stream")]
mod statuses;
mod streams;
mod support;
mod taking;
mod waiting;
mod waiting_for_keys;
mod ways_back;
