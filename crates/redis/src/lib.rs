//! Rate limits that many processes share through Redis or Valkey.
//!
//! [`Redis`] is a [`Store`](tollgate::shared::store::Store) for the limits of [`tollgate::shared`].
//! A decision is one call of a script on the server, which is exact, and which takes from all
//! limits of an ask or from none.
//!
//! ```no_run
//! use tollgate::Quota;
//! use tollgate::shared::store::{Ask, Charge, LimitSpec, Namespace, Part, Rule, Store, Verb};
//! use tollgate_redis::Redis;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Redis::connect("redis://127.0.0.1").await?;
//! let requests = LimitSpec::new("requests", Rule::TokenBucket, Quota::per_minute(600));
//! let buckets = store.open(&[Namespace::new("users", vec![requests])])?;
//! let ask = Ask::new(Verb::Take, 1, Part::new(0, "alice", [Charge::new(1)]));
//! for answer in buckets.ask(vec![ask]).await {
//!     println!("{:?}", answer?);
//! }
//! # Ok(())
//! # }
//! ```
#![doc = include_str!("../docs/promises.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod asking;
mod buckets;
mod builder;
mod connection;
mod events;
mod names;
mod numbers;
mod script;
mod wire;

pub use buckets::Redis;
pub use builder::{Builder, ConnectError};
