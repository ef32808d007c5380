//! Access logs: which format a log is in, and what each line tells of a request.
//!
//! * [`layout`] finds the format by looking at the first lines, or takes it from an option; then a
//!   line becomes a [`Request`] by [`common`] (common and combined), [`plan`] (formats as servers
//!   are told them), [`json`] or [`columns`];
//! * [`client`]: the address in a client's field, and [`time`]: a date to a time since 1970.

pub mod client;
pub mod columns;
pub mod common;
pub mod fields;
pub mod json;
pub mod layout;
pub mod plan;
mod request;
pub mod time;

pub use request::{Details, Request, Skipped};
