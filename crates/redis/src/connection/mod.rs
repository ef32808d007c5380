//! The connections to the servers: the one place that knows the crate `redis`.

mod call;
mod cluster;
mod error;
mod link;
mod place;
mod redirect;
mod sentinel;
mod server_clock;
mod settings;

pub(crate) use cluster::{Cluster, slot};
pub(crate) use link::Link;
pub(crate) use place::{Place, Servers};
pub(crate) use redirect::Redirect;
pub(crate) use settings::Settings;
