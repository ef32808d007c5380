//! What the examples of this folder share: an agent with a limit for each caller, and what puts the
//! limits of a model under clients that people use.
//!
//! Nothing here is published. Copy what you need: each module is small, and says what it is for.

pub mod agent;
#[cfg(feature = "transport")]
pub mod clients;
