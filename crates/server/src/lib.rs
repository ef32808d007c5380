//! The service `tollgate`: rate limits for APIs in any language. The library is for the program of
//! that name and for its tests.

pub mod admin;
pub mod cli;
pub mod envoy;
pub mod envoy_files;
pub mod net;
pub mod replay;
pub mod run;
pub mod service;
pub mod settings;
pub mod web;
