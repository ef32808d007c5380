//! Decisions: from the facts of a request to an answer. Nothing in here knows of HTTP servers.

mod builder;
mod caller;
mod compile;
pub(crate) mod compiled;
pub(crate) mod decide;
pub(crate) mod decision;

mod error;
mod explain;
mod facts;
mod host;
mod key;
pub(crate) mod limiter;
mod path;
mod penalty;
mod request;
mod route_index;
pub(crate) mod secret;
pub mod store;
mod subjects;

pub use builder::HttpLimiterBuilder;
pub use caller::Caller;
pub use decision::{Decision, LimitReport, Outcome};
pub use error::BuildError;
pub use explain::Explanation;
pub use facts::Facts;
pub use key::{Hashed, Key, KeyParts, Part};
pub use limiter::{Deciding, HttpLimiter};
