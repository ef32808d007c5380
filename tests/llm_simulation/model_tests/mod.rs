//! The servers and the world do what the scenes say. The values here are computed by hand.

mod counters;
mod dialects;
mod servers;
mod worlds;
