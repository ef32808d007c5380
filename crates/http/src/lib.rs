//! Rate limits for HTTP services: a policy file, and tower layers that enforce it.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
#[cfg(feature = "client")]
pub mod client;
pub mod engine;
mod events;
pub mod layer;
pub mod policy;
pub mod respond;

pub use engine::{BuildError, Decision, Facts, HttpLimiter, Outcome};
pub use layer::{Caller, RateLimitHandle, RateLimitLayer};
pub use policy::Policy;
