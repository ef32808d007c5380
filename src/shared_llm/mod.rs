//! Limits of model APIs that several processes share: no 429, and no quota that nobody uses.
//!
//! Each process has an [`llm::Limiter`](crate::llm::Limiter) or [`KeyPool`](crate::llm::KeyPool) of
//! its own, which learns from the responses that the process gets, and a store, such as Redis, in
//! which all processes count what they use of the account. A request is sent when both permit it.
//!
//! ```
//! use tollgate::shared::store::Memory;
//! use tollgate::shared::{Client, Outage};
//! use tollgate::{llm, shared_llm};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let account = llm::Limiter::builder().requests_per_minute(500).tokens_per_minute(200_000);
//! // Four processes; the store is Redis, in real life.
//! let store = Client::builder(Memory::new()).on_outage(Outage::local_share(1, 4));
//! let model = shared_llm::Limiter::new(account.build()?, &store, "openai/gpt")?;
//!
//! let permit = model.acquire(1_500).await?;
//! // ... the request: its response says that 900 tokens were used ...
//! permit.settle(900);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What the processes share
//!
//! * **What is used.** An estimate is taken in the store, of all limits of the account or of none.
//!   The difference to the usage is settled there, too.
//! * **What servers say is left.** It covers all clients of the account. If a response says that
//!   more is used than the store knows, the store's level is raised to it.
//! * **Pauses.** If one process is told to wait by a 429, the others wait, too, unless their
//!   requests are on their way already.
//! * **Requests in flight.** With [`max_concurrent`](crate::llm::Limits::max_concurrent), that many
//!   requests of all processes together are in flight. The slots of a process that dies expire.
//!
//! **Learned limits** are not shared as such. Each process learns them from its first answer, and
//! counts from then on in the store, where the level is what all processes have used. A process
//! that knows no limits asks for none, but what it uses is in what servers say is left. It is
//! better to configure the limits that are known.
//!
//! In a cluster, whose asks have one subject, only the configured limits are shared.
//!
//! # Waiting
//!
//! The requests of a process that have to wait stand in one line, first come, first served, and
//! only the first of them asks the store: with several keys, for each key that could serve it.
//! Among the first of all processes there is no order, but one that has waited for ten seconds
//! takes a place in the store, so that smaller requests do not overtake it for ever.
//!
//! # When the store does not answer
//!
//! The limiter of each process goes on, and the [`Outage`](crate::shared::Outage) mode decides
//! about the part that is shared: with a local share, each process has its part of the quota.

mod account;
mod acquire;
mod attempt;
mod call;
mod charge;
mod error;
mod heard;
mod key_pool;
mod limiter;
mod permit;
mod pool_permit;

pub use error::{AddKeyError, OpenError};
pub use key_pool::KeyPool;
pub use limiter::Limiter;
pub use permit::Permit;
pub use pool_permit::PoolPermit;
