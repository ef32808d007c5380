//! Streams and sinks at the pace of a limiter: each item takes one permit, or as many as it costs.

#[cfg(not(feature = "tokio"))]
mod feature_hint;
mod paced_sink;
mod paced_stream;
mod permits;

pub use paced_sink::{RateLimitSinkExt, RateLimitedSink, SinkError};
pub use paced_stream::{RateLimitStreamExt, RateLimitedStream};
