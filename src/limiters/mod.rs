//! The containers: cells that hold a rule's state and a clock.
//!
//! | cell | state lives in |
//! |---|---|
//! | [`Limiter`] | a mutex, with counters; hot denials don't take it |
//! | [`AtomicTokenBucket`] | one 64-bit word |
//! | [`LeasedTokenBucket`] | a `Limiter`, drawn from in batches by each thread |
//!
//! All verbs are written once, in [`gate`] over [`core`]; a cell says how to get at the state.

pub(crate) mod atomic;
mod builder;
pub(crate) mod charge;
mod composite;
pub(crate) mod core;
mod counter;
mod leased;
mod limiter;
pub(crate) mod refusal;
mod thread_slot;
pub(crate) mod verbs;

pub use atomic::AtomicTokenBucket;
pub use builder::LimiterBuilder;
pub use charge::LimiterCharge;
pub use composite::Composite;
pub use leased::LeasedTokenBucket;
pub use limiter::Limiter;
