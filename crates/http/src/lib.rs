//! Rate limits for HTTP services: a policy file, and tower layers that enforce it.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
#[cfg(feature = "client")]
pub mod client;
pub mod policy;
pub mod respond;
