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
mod low_priority;
mod models;
mod observing;
mod provisional;
mod reentrancy;
mod reserving;
mod restarting;
mod resting;
mod server_wait;
mod settling;
mod statuses;
#[cfg(feature = "stream")]
mod streams;
mod support;
mod taking;
mod waiting;
mod waiting_for_keys;
mod ways_back;
