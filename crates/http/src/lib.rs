//! Rate limits for HTTP services: a policy file, and tower layers that enforce it.
//!
//! The simple case needs no file. Each client address may send 60 requests a minute:
//!
//! ```
//! use tollgate_http::{Quota, RateLimitLayer};
//!
//! let layer = RateLimitLayer::per_ip(Quota::per_minute(60))?;
//! # Ok::<(), tollgate_http::BuildError>(())
//! ```
//!
//! Everything else is in a [policy]: who the client is behind a proxy, limits for each user, API
//! key or route, tiers, costs, blocked and exempt callers, what clients are told.
//!
//! ```
//! use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
//!
//! let policy: Policy = r#"
//! version = 1
//! always = ["calls"]
//! default_tier = "free"
//! [limits.calls]
//! quota = "10/min"
//! key = "caller"
//! [tiers.free]
//! [tiers.premium]
//! calls = "300/min"
//! [[subjects]]
//! user = "alice"
//! tier = "premium"
//! "#.parse()?;
//! let layer = RateLimitLayer::new(HttpLimiter::new(&policy)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The layer goes around any tower service of `http` requests, such as an axum `Router`, a hyper
//! service or a tonic server. A request above a limit is refused before its body is read, with the
//! fields and the body that clients know: `Retry-After`, `RateLimit`, `X-RateLimit-*`,
//! `application/problem+json`, or a gRPC status.
//!
//! [`Quota`] and [`ManualClock`] are those of the crate `tollgate`, so that a program needs no
//! second dependency for them.
//!
//! # Where to begin
//!
//! * A server: [`RateLimitLayer`], and [`Caller`] from the middleware that authenticates.
//! * The policy: the module [`policy`] lists all settings, and [`policy::Code`] all that can be
//!   wrong.
//! * A handler that wants to know how close its caller is to a limit, or to charge more:
//!   [`RateLimitHandle`].
//! * No tower, or a protocol of your own: [`HttpLimiter::decide`] with the [`Facts`] of a request.
//! * Another policy while the server runs: [`reload`].
//! * Metrics, events and a hook for refusals: [`observe`].
//! * A client that must keep to the limits of others: `client` (feature `client`).
//! * A client of OpenAI, Anthropic or another model API: `llm` (feature `llm-tower`).
//! * How to run all of this behind a proxy, and how to choose numbers: the module `guide`.
//!
//! # What this crate does not do
//!
//! * Each process counts for itself, unless the buckets are in a store that processes share
//!   (`SharedStore` in [`engine::store`], feature `shared`): see the guide for what that means.
//! * It does not authenticate. The application says who the caller is.
//! * It does not limit how many requests run at the same time, and servers never wait with a
//!   request: a request is let through or refused at once.
//! * It does not read the bodies of requests that a server gets. (`llm` reads those of a client.)
//! * It does not listen on a port. Your program serves the metrics and the status page.
//! * It keeps no levels on disk: after a restart, all buckets in memory are full.
//!
//! # Features
//!
//! Each feature only adds items or behaviour. Only `tracing` is on by default.
//!
//! * `tracing`: events for a subscriber, such as refusals, at most one per minute for each key.
//! * `yaml`, `json`: policies in YAML and in JSON. TOML is always there.
//! * `axum`: the peer from axum's `ConnectInfo`, routes from its `MatchedPath` with
//!   `RateLimitLayer::by_matched_path`, and [`RateLimitHandle`] as an extractor.
//! * `grpc`: answers that gRPC clients understand. `tonic`: also the peer of tonic's server.
//! * `metrics`: counters, gauges and a histogram through the facade of that name.
//! * `watch`: a policy file that is read anew when it changes, or on SIGHUP. Two threads.
//! * `shared`: buckets that several processes share, in a store such as Redis.
//! * `client`: the layer for HTTP clients, on tokio's timer.
//! * `llm-tower`: the layer for clients of model APIs, on tokio's timer.
//! * `tiktoken`: counts the tokens of their requests with OpenAI's tokenizer.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod address;
#[cfg(any(feature = "client", feature = "llm-tower"))]
mod box_error;
#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub mod client;
pub mod engine;
pub mod layer;
#[cfg(feature = "llm-tower")]
#[cfg_attr(docsrs, doc(cfg(feature = "llm-tower")))]
pub mod llm;
pub mod policy;
pub mod respond;

#[cfg(any(feature = "client", feature = "llm-tower"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "client", feature = "llm-tower"))))]
pub use box_error::BoxError;
pub use engine::observe::Violation;
pub use engine::{BuildError, Caller, Decision, Facts, HttpLimiter, Outcome};
#[doc(inline)]
pub use engine::{observe, reload};
pub use layer::{RateLimitHandle, RateLimitLayer};
pub use policy::Policy;
#[doc(no_inline)]
pub use tollgate::{ManualClock, Quota};

/// The code examples of the README, compiled as doctests.
#[cfg(all(doctest, feature = "axum", feature = "client", feature = "llm-tower"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// A page of documentation. Its code examples are doctests, and the module is empty.
#[cfg(all(any(doc, doctest), feature = "axum", feature = "metrics", feature = "watch"))]
#[doc = include_str!("../docs/guide.md")]
pub mod guide {}
