//! Decisions: from the facts of a request to an answer. Nothing in here knows of HTTP servers.

mod compiled;
mod decide;
mod decision;
mod error;
mod explain;
mod facts;
mod host;
mod key;
mod limiter;
mod path;
mod penalty;
mod request;
mod secret;
pub mod store;
mod subjects;

pub use decision::{Decision, LimitReport, Outcome};
pub use error::BuildError;
pub use explain::Explanation;
pub use facts::Facts;
pub use key::{Hashed, Key, KeyParts, Part};
pub use limiter::{Deciding, HttpLimiter, HttpLimiterBuilder};
