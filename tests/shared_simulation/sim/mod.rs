//! Many processes that share limits, in no time: the limiters and the store of the library, and a
//! network that delays.
//!
//! It runs on the paused time of tokio, whose timers have a resolution of a millisecond. Messages
//! are faster, so the simulated world is a hundred times slower than the one it stands for: its
//! messages, its quotas, its leases and its deadlines ([`SLOWER`]).

mod keys;
mod outcome;
mod scene;
mod store;
mod uses;
mod world;

#[path = "../../support/split_mix.rs"]
mod split_mix;

pub(crate) use outcome::Outcome;
pub(crate) use scene::Scene;
pub(crate) use uses::Uses;
pub(crate) use world::run;

/// How many times slower the simulation is than what it stands for.
pub(crate) const SLOWER: u32 = 100;
