//! What the examples of this folder share: an agent with a limit for each caller.
//!
//! Nothing here is published. Copy what you need: each module is small, and says what it is for.

pub mod agent;
