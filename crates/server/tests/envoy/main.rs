//! Envoy's Rate Limit Service: each field by a client of gRPC, and a real Envoy in front of a
//! server. `scripts/envoy` gets the Envoy; without it, those tests are skipped, and say so.

mod bounds;
mod client;
mod fields;
mod proxied;
mod proxy;
mod server;
