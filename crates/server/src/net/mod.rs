//! Listeners and their connections: TCP and Unix sockets, HTTP/1.1 and HTTP/2, with limits on
//! what a client can make the service hold, and an end that answers what is in flight.

mod address;
mod connection;
mod idle;
mod listener;
mod within;

pub use address::{ListenAddress, ParseListenAddressError};
pub use connection::Bounds;
pub use listener::{Listener, Shutdown};
pub(crate) use within::within;
