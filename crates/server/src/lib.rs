//! The service `tollgate`: rate limits for APIs in any language. The library is for the program of
//! that name and for its tests.

pub mod cli;
pub mod replay;
