//! What would a quota have done? Replays a web server's access log against a rate limit per client.
//!
//! `cargo run --release -p tollgate-replay -- --quota "60/min burst 20" access.log`
//!
//! * [`arguments`]: the command line;
//! * [`layout`]: which format the log is in; then a line to a client and a time, by [`parse`]
//!   (common and combined), [`plan`] (formats as servers are told them), [`json`] or [`columns`];
//! * [`client`]: the address in a client's field, and [`time`]: a date to seconds;
//! * [`run`]: the buckets and the counts;
//! * [`report`]: the result as text.

pub mod arguments;
pub mod client;
pub mod columns;
pub mod fields;
pub mod json;
pub mod layout;
pub mod parse;
pub mod plan;
pub mod report;
pub mod run;
pub mod time;
