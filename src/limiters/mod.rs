//! The limiters. Each holds the state of a rule, and a clock.
//!
//! | limiter | where the state is |
//! |---|---|
//! | [`Limiter`] | behind a mutex, with counters; repeated refusals do not take the mutex |
//! | [`AtomicTokenBucket`] | in one 64-bit word; behind a mutex while somebody waits |
//! | [`LeasedTokenBucket`] | in a `Limiter`, from which each thread draws permits in batches |
//!
//! Most methods are written once: [`verbs`] has them, and calls [`core`]. A limiter says how to
//! reach its core.

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
