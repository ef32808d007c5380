//! The program `tollgate` as its users start it: a process of its own.

mod commands;
mod envoy_files;
mod secrets;
mod signals;
mod support;
