//! What [`Keyed`](super::Keyed) can do, in three parts.

mod admin;
mod ask;
mod terms;

pub use admin::Totals;
