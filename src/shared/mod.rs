//! Limits that many processes share through a [`Store`](store::Store), such as Redis or Valkey.
//!
//! A store keeps the levels, and decides with its own clock. Processes agree because they ask the
//! same store under the same names and quotas. [`Memory`](store::Memory) is the store of a single
//! process, for tests and as a reference: each store answers as it does.

pub mod store;
