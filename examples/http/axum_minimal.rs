//! The shortest useful server: each client address may send 60 requests a minute.
//!
//! `cargo run --release -p tollgate-http-examples --example axum_minimal`
//!
//! To try it with curl, keep it running:
//! `SERVE=127.0.0.1:3000 cargo run --release -p tollgate-http-examples --example axum_minimal`,
//! then `curl --include http://127.0.0.1:3000`.

#[path = "support/http_client.rs"]
#[allow(dead_code, reason = "this client needs no fields of its own")]
mod http_client;
#[path = "support/serve.rs"]
mod serve;

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use http_client::Client;
use serve::AnyError;
use tollgate::Quota;
use tollgate_http::RateLimitLayer;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let app = Router::new()
        .route("/", get(|| async { "Hello.\n" }))
        .layer(RateLimitLayer::per_ip(Quota::per_minute(60))?);

    let listener = serve::listen().await?;
    let address = listener.local_addr()?;
    // The layer learns the client's address from here.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    serve::serve(address, axum::serve(listener, app), visit(address)).await
}

/// Sends requests until one is refused.
async fn visit(address: SocketAddr) -> Result<(), AnyError> {
    let client = Client::of(address);
    println!("The first request:");
    client.get("/").await?.print();

    let mut answered = 1;
    let refused = loop {
        let answer = client.get("/").await?;
        match answer.status.as_u16() {
            200 => answered += 1,
            429 => break answer,
            other => return Err(format!("the server answered {other}").into()),
        }
    };
    println!("\nAfter {answered} answers:");
    refused.print();
    // One permit comes back each second, so a slow machine sees a few more.
    assert!((60..70).contains(&answered));
    assert_eq!(refused.field("retry-after"), Some("1"));
    Ok(())
}
