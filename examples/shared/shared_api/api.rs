//! One process of the API.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tollgate::shared::Outage;
use tollgate_http::engine::store::SharedStore;
use tollgate_http::{HttpLimiter, Policy, RateLimitLayer};
use tollgate_redis::Redis;

use crate::{AnyError, POLICY, PROCESSES};

/// Serves the API until the process is ended.
pub(crate) async fn serve(redis: &str, port: u16) -> Result<(), AnyError> {
    let store = SharedStore::new(Redis::connect(redis).await?)
        .deadline(Duration::from_millis(50))
        .on_outage(Outage::local_share(1, PROCESSES));
    let policy: Policy = POLICY.parse()?;
    let limiter = HttpLimiter::builder(&policy).store(store.clone()).build()?;

    let app = Router::new()
        .route("/", get(|| async { "Hello.\n" }))
        .layer(RateLimitLayer::new(limiter))
        // Not limited, because the layer stands above it.
        .route("/stats", get(async move || sources(&store)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

/// The decisions so far by source, as `name=number` in lines.
fn sources(store: &SharedStore) -> String {
    let stats = store.stats();
    format!(
        "the store={}\na known refusal={}\nthe local share={}",
        stats.shared, stats.cached, stats.local_share
    )
}
