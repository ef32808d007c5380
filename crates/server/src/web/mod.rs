//! What the pages of both listeners have in common: errors, queries, bodies, health, times, and
//! who asks.

mod address;
mod body;
mod health;
mod page;
mod problem;
mod query;
mod time;
mod unknown;

pub(crate) use address::parse as parse_address;
pub(crate) use body::{parse as parse_body, read as read_body};
pub(crate) use health::{healthz, readyz};
pub(crate) use page::{OfAProgram, is_of_a_page, is_of_another_site};
pub use problem::Problem;
pub(crate) use query::{Asked, bad_query};
pub(crate) use time::millis;
pub(crate) use unknown::{unknown, wrong_method};
