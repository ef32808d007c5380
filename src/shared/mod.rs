//! Limits that many processes share through a [`Store`](store::Store), such as Redis or Valkey.
//!
//! A store keeps the levels, and decides with its own clock. Processes agree because they ask the
//! same store under the same names and quotas. [`Memory`](store::Memory) is the store of a single
//! process, for tests and as a reference: each store answers as it does.
//!
//! ```
//! use tollgate::Quota;
//! use tollgate::shared::{Limiter, Outage, store::Memory};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let limiter: Limiter = Limiter::builder("api", Quota::per_minute(600))
//!     .store(Memory::new())
//!     .on_outage(Outage::local_share(1, 8))
//!     .build()?;
//! if limiter.allow("alice").await? {
//!     // handle the request
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What is promised
//!
//! As long as the store keeps its data and its clock, the permits that all processes together grant
//! to a subject are at most what a single limiter would grant. Each answer names its
//! [`Source`]: an answer of the store, or one of the process while the store does not answer. What
//! the process may then grant is the choice of its [`Outage`] mode.
//!
//! The page `docs/shared-limits.md` of the repository says what to choose, what to run, and what
//! holds when the store fails.
//!
//! # Limits over one subject and over many
//!
//! A [`Limiter`] has one to eight limits for each subject, such as requests and tokens of each
//! user. A [`Client`] takes an [`Ask`](store::Ask) over several subjects: the limits of a user, an
//! address and all together, all or nothing.

mod client;
mod decision;
mod limiter;
mod outage;
mod race;
mod recent;
mod refusals;
mod slots;
mod source;
pub mod store;

pub(crate) use client::give_back;
pub use client::{Client, ClientBuilder, Stats};
pub use decision::{AskError, Decision};
pub use limiter::{Builder, Cost, Grant, LimitUsage, Limiter, Refused, Reservation, Usage};
pub use outage::Outage;
#[cfg(feature = "llm")]
pub(crate) use race::{race, within};
pub use slots::{Slot, Slots};
pub use source::Source;
