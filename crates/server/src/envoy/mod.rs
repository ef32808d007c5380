//! For users of Envoy: its rate limit service, and the files of envoyproxy/ratelimit.

pub mod yaml;
