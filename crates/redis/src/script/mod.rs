//! The script that decides on the server, in Lua: every decision is one call of it.
//!
//! It is sent once for each connection, and then called by its hash. Its numbers are doubles, which
//! are exact for whole numbers below 2^53; nothing in it is ever larger or has a fraction.

/// The script for the usual asks of token buckets: a call of it takes a third of the time.
pub(crate) const PLAIN: &str = include_str!("plain.lua");

/// The script for all asks.
pub(crate) const ANY: &str = concat!(
    include_str!("head.lua"),
    include_str!("token_bucket.lua"),
    include_str!("fixed_window.lua"),
    include_str!("sliding_window.lua"),
    include_str!("strict_window.lua"),
    include_str!("asks.lua"),
);
