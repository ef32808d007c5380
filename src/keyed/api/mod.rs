//! API

mod admin;
mod quotas;
mod requests;
mod terms;

pub use admin::Totals;
