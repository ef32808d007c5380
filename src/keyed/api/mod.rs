//! The public methods of [`Keyed`](super::Keyed).

mod admin;
mod quotas;
mod requests;
mod terms;

pub use admin::Totals;
