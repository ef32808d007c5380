//! The service `tollgate`: rate limits for APIs in any language. The library is for the program of
//! that name and for its tests.

mod address;
pub mod admin;
pub mod cli;
pub mod envoy;
pub mod net;
pub mod problem;
mod query;
pub mod run;
pub mod service;
pub mod settings;
