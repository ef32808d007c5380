//! The script that decides on the server, in Lua: every decision is one call of it.
//!
//! It is sent once for each connection, and then called by its hash. Its numbers are doubles, which
//! are exact for whole numbers below 2^53; nothing in it is ever larger or has a fraction.

/// The script for asks of token buckets alone. It is the same as [`ALL_RULES`] without what only
/// the windows need, which makes a call a little faster.
pub(crate) const TOKEN_BUCKETS: &str =
    concat!(include_str!("head.lua"), include_str!("token_bucket.lua"), include_str!("asks.lua"));

/// The script for asks of limits with any rule.
pub(crate) const ALL_RULES: &str = concat!(
    include_str!("head.lua"),
    include_str!("token_bucket.lua"),
    include_str!("fixed_window.lua"),
    include_str!("sliding_window.lua"),
    include_str!("strict_window.lua"),
    include_str!("asks.lua"),
);
