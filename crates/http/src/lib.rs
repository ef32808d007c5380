//! Rate limits for HTTP services: a policy file, and tower layers that enforce it.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
#[cfg(feature = "client")]
pub mod client;
pub mod engine;
pub mod layer;
pub mod observe;
pub mod policy;
pub mod reload;
pub mod respond;

pub use engine::{BuildError, Caller, Decision, Facts, HttpLimiter, Outcome};
pub use layer::{RateLimitHandle, RateLimitLayer};
pub use observe::Violation;
pub use policy::Policy;
