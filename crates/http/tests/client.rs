//! The layer for HTTP clients, under paused time and around a scripted client.
#![cfg(feature = "client")]

mod client {
    mod cancelling;
    mod limits;
    mod pace;
    mod pauses;
    mod random;
    mod real_server;
    mod support;
}
