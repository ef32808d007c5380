//! A shop's API, all of whose limits are in a file: [`limits.toml`](limits.toml). The file has four
//! tiers, a limit of failed logins, exports that cost five calls, a rule for a network, a blocked
//! address, a limit on trial and a penalty; the code has none of this.
//!
//! `cargo run --release -p tollgate-http-examples --example axum_policy`
//!
//! To try it with curl, keep it running:
//! `SERVE=127.0.0.1:3000 cargo run --release -p tollgate-http-examples --example axum_policy`, then
//! `curl -i -H 'authorization: Bearer token-of-alice' http://127.0.0.1:3000/search`.

#[path = "../support/http_client.rs"]
mod http_client;
mod operate;
#[path = "../support/serve.rs"]
mod serve;
mod shop;
mod table;
mod visit;

use std::net::SocketAddr;

use serve::AnyError;
use tollgate_http::HttpLimiter;

const LIMITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/axum_policy/limits.toml");

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let limiter = HttpLimiter::from_path(LIMITS)?;

    let listener = serve::listen().await?;
    let address = listener.local_addr()?;
    let app = shop::app(&limiter).into_make_service_with_connect_info::<SocketAddr>();
    let visit = async {
        visit::visit(address, &limiter).await?;
        operate::operate(address, &limiter).await
    };
    serve::serve(address, axum::serve(listener, app), visit).await
}
