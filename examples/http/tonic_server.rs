//! A gRPC server with the same limits as an HTTP server: what is refused is `RESOURCE_EXHAUSTED`,
//! and says when to come back.
//!
//! `cargo run --release -p tollgate-http-examples --example tonic_server`
//!
//! The service is gRPC's health check, because its code is generated already. To try it with a
//! client of yours, keep it running with `SERVE=127.0.0.1:3000` in the environment, then
//! `grpc_health_probe -addr=127.0.0.1:3000`.

#[path = "support/serve.rs"]
mod serve;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serve::AnyError;
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::health_reporter;
use tonic_types::StatusExt;

/// A path of gRPC is `/PACKAGE.SERVICE/METHOD`.
const LIMITS: &str = r#"
version = 1

[limits.checks]
quota = "2/s burst 5"
key = "address"

[limits.watches]
quota = "5/min"
key = "address"

[[routes]]
name = "check"
path = "/grpc.health.v1.Health/Check"
limits = ["checks"]

[[routes]]
name = "watch"
path = "/grpc.health.v1.Health/Watch"
limits = ["watches"]
"#;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let policy: Policy = LIMITS.parse()?;
    let limiter = HttpLimiter::new(&policy)?;

    let listener = serve::listen().await?;
    let address = listener.local_addr()?;
    let (_reporter, health) = health_reporter();
    // The layer learns the client's address from tonic.
    let server = Server::builder()
        .layer(RateLimitLayer::new(limiter))
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener));
    serve::serve(address, server, visit(address)).await
}

/// Asks until the server refuses, waits as long as it says, and asks again.
async fn visit(address: SocketAddr) -> Result<(), AnyError> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = HealthClient::new(channel);
    let mut answered = 0;
    let refusal = loop {
        match client.check(HealthCheckRequest::default()).await {
            Ok(_) => answered += 1,
            Err(status) => break status,
        }
    };
    println!("answered {answered} requests, then: {:?}, {}", refusal.code(), refusal.message());
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    // Two permits come back each second, so a slow machine sees a few more.
    assert!((5..10).contains(&answered));

    let wait = retry_after(&refusal).ok_or("the refusal has no RetryInfo")?;
    println!("RetryInfo says to wait {} ms", wait.as_millis());
    assert!(!wait.is_zero() && wait <= Duration::from_millis(500));
    if let Some(pushback) = refusal.metadata().get("grpc-retry-pushback-ms") {
        println!("grpc-retry-pushback-ms says {} ms", pushback.to_str()?);
    }

    let start = Instant::now();
    tokio::time::sleep(wait).await;
    client.check(HealthCheckRequest::default()).await?;
    println!("answered after {} ms", start.elapsed().as_millis());
    Ok(())
}

/// How long the server wants its client to wait.
fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}
