//! What a `LeasedTokenBucket` promises of leases: who can hold one, and that permits that lie idle
//! in one are there for everybody who needs them.
#![allow(clippy::unwrap_used, reason = "a test that fails shall panic")]

mod calling_back;
mod changes;
mod counting;
mod crew;
mod nosy_clock;
mod room;
