//! The connection to the server: the one place that knows the crate `redis`.

mod call;
mod error;
mod link;
mod server_clock;
mod settings;

pub(crate) use link::Link;
pub(crate) use settings::Settings;
