//! The layer, under paused time and around a scripted client.

mod bodies;
mod cancelling;
mod contract;
mod failing;
mod keys;
mod models;
mod real_server;
mod retries;
mod settling;
mod support;
