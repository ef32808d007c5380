//! Limits of model APIs.
//!
//! [`ServerLimits`] reads what a server says of its limits in the headers of a response.

mod headers;

pub use headers::{Bound, ServerLimit, ServerLimits};
