//! An MCP server (streamable HTTP) with limits per user and per tool, in four tiers: 10, 60, 300 or
//! 1000 tool calls a minute. They are in [`limits.toml`](limits.toml).
//!
//! `cargo run --release -p tollgate-http-examples --example mcp_server`
//!
//! To try it with an MCP client of yours, keep it running:
//! `SERVE=127.0.0.1:3000 cargo run --release -p tollgate-http-examples --example mcp_server`; the
//! URL is `http://127.0.0.1:3000/mcp`, and a bearer token is `key-of-fay`.
//!
//! What is refused is an HTTP 429 with `Retry-After`, and not a result of the tool: applications,
//! proxies and logs see it as what it is, and the tool's code is not reached. A model that should
//! know its limits beforehand calls the tool `rate_limit_status`.

#[path = "../support/http_client.rs"]
mod http_client;
mod keys;
#[path = "../support/serve.rs"]
mod serve;
mod tool_path;
mod tools;
mod visit;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serve::AnyError;
use tollgate::Quota;
use tollgate_http::layer::RequestHead;
use tollgate_http::{HttpLimiter, RateLimitLayer};
use tool_path::ToolPath;
use tools::Tools;

const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mcp_server/limits.toml");

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let limiter = HttpLimiter::from_path(LIMITS)?;
    let tools = Tools::new(limiter.clone());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let mcp = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let tool_path = |head: &RequestHead<'_>| Some(head.extensions.get::<ToolPath>()?.0.clone());
    // The last layer is the outermost, so this is read from the bottom: addresses are limited
    // before keys are looked up, so that nobody can try many of them.
    let app = Router::new()
        .route_service("/mcp", mcp)
        .layer(RateLimitLayer::new(limiter).path(tool_path))
        .layer(from_fn(tool_path::note))
        .layer(from_fn(keys::authenticate))
        .layer(RateLimitLayer::per_ip(Quota::per_second(100).burst(3000))?);

    let listener = serve::listen().await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    serve::serve(address, axum::serve(listener, app), visit::visit(address)).await
}
