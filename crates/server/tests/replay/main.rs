//! `tollgate replay`: the formats of logs, what a policy does to the requests in them, and the
//! report.

mod command;
mod details;
mod formats;
mod inputs;
mod lines;
mod model;
mod policies;
mod support;
