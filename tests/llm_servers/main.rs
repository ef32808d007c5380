//! What limiters make of the responses of servers: of recorded ones, of those of servers that count
//! in some way, and of hostile ones.
#![cfg(feature = "llm")]
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

#[path = "../support/greedy.rs"]
mod greedy;
#[path = "../support/hostile.rs"]
mod hostile;

mod cases;
mod data;
mod first_hour;
mod further;
mod lowered;
mod numbers;
mod played_back;
mod returns;
mod sequences;
mod windows_end;
