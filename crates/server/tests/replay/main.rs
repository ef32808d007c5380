//! `tollgate replay`: the formats of logs, what a policy does to the requests in them, and the
//! report.

mod formats;
mod lines;
mod support;
