//! Envoy's Rate Limit Service v3 over gRPC: `envoy.service.ratelimit.v3.RateLimitService`.
//!
//! A request has a domain and descriptors, and the rules of the policy in `[[descriptors]]` say
//! what holds for them. `messages.rs` has the protocol's messages, `service.rs` the method,
//! `answer.rs` turns a decision into its response, and `codec.rs` writes the response.

mod answer;
mod codec;
pub mod messages;
mod service;

use axum::Router;
use tollgate_http::HttpLimiter;

pub use service::{Bounds, RateLimitService};

/// The path of the service's only method.
pub const SHOULD_RATE_LIMIT: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// The service, for a listener that speaks HTTP/2. Other methods are answered with the gRPC status
/// `UNIMPLEMENTED`.
pub fn router(limiter: HttpLimiter, bounds: Bounds) -> Router {
    Router::new()
        .route_service(SHOULD_RATE_LIMIT, RateLimitService::new(limiter, bounds))
        .fallback(service::unimplemented)
}
