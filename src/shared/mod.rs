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
//! # Metrics
//!
//! With the feature `metrics`, clients count through the facade of that name, all clients of a
//! process together. [`Stats`] has the numbers of single ones. The handles are made when the
//! builder of a client or limiter is made, so the program must install its recorder before. The
//! only label is a fixed word: no request can choose it.
//!
//! * `tollgate_shared_decisions_total{source}`: decisions by [`Source`]: `shared`, `leased`,
//!   `cached`, `local_share`, `last_known`, `open` or `closed`. All of `cached` are refusals that
//!   needed no call. What a limiter decides by itself, because it is closed, is not counted.
//! * `tollgate_shared_calls_total`: calls to the store, without those that ask in an outage whether
//!   it answers again.
//! * `tollgate_shared_call_asks`: a histogram, the number of asks in a call.
//! * `tollgate_shared_call_seconds`: a histogram, the time from a call to its answers in seconds. A
//!   call that is never answered has none.
//! * `tollgate_shared_outages_total`: outages that have begun. Each client has its own.
//! * `tollgate_shared_outages_present`: a gauge, the outages that last.
//! * `tollgate_shared_outage_seconds`: a histogram, how long each outage that has ended has lasted,
//!   in seconds.
//! * `tollgate_shared_lease_permits_drawn_total`, `tollgate_shared_lease_permits_used_total`,
//!   `tollgate_shared_lease_permits_handed_back_total`: permits that [leases](Builder::lease) drew
//!   ahead, that they granted, and that went back to the store unused.
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
mod line;
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
#[cfg(feature = "llm")]
pub(crate) use line::Line;
pub use outage::Outage;
#[cfg(feature = "llm")]
pub(crate) use race::{sleep, within};
pub use slots::{Slot, Slots};
pub use source::Source;
