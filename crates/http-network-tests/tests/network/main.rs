//! Tests of the layer with real servers, proxies and clients on loopback. `scripts/network_tests`
//! installs the programs that they need, and runs them.

#![cfg(unix)]

mod browser;
mod connections;
mod curl;
mod grpc;
mod layers;
mod load;
mod odd_requests;
mod proxies;
mod uploads;
