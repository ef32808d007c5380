//! The containers: cells that hold a rule's state and a clock.
//!
//! | cell | state lives in |
//! |---|---|
//! | [`Limiter`] | a mutex, with counters; hot denials don't take it |
//! | [`AtomicTokenBucket`] | one 64-bit word |
//! | [`LeasedTokenBucket`] | a `Limiter`, drawn from in batches by each thread |
//!
//! All verbs are written once, in [`gate`] over [`core`]; a cell says how to get at the state.

mod atomic;
mod builder;
pub(crate) mod charge;
pub(crate) mod core;
mod counter;
pub(crate) mod gate;
mod leased;
mod locked;
pub(crate) mod refusal;
mod thread_slot;
mod word;

pub use atomic::AtomicTokenBucket;
pub use builder::LimiterBuilder;
pub use charge::LimiterCharge;
pub use leased::LeasedTokenBucket;
pub use locked::Limiter;
