//! The service on a free port.

use std::net::SocketAddr;

use tokio::task::JoinHandle;
use tollgate::ManualClock;
use tollgate_http::engine::HttpLimiterBuilder;
use tollgate_http::{HttpLimiter, Policy};
use tollgate_server::envoy::{Bounds, router};
use tollgate_server::net::{ListenAddress, Listener, Shutdown};

/// A server that ends when it is told to.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    /// Serves `router` on a free port.
    pub(crate) async fn start(router: axum::Router) -> Self {
        let any = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
        let listener = Listener::bind(&any).await.expect("a port is free");
        let ListenAddress::Tcp(address) = *listener.address() else { panic!("not TCP") };
        let (shutdown, bounds) = (Shutdown::default(), tollgate_server::net::Bounds::default());
        let task = tokio::spawn(listener.serve(router, bounds, shutdown.clone()));
        Self { address, shutdown, task }
    }

    /// Serves Envoy's protocol.
    pub(crate) async fn of(limiter: HttpLimiter) -> Self {
        Self::start(router(limiter, Bounds::default())).await
    }

    /// Ends the server: connections are closed, and nobody listens.
    pub(crate) async fn stop(self) {
        self.shutdown.begin();
        self.task.await.expect("the server ends");
    }
}

/// A policy in TOML; its version is added.
pub(crate) fn policy(text: &str) -> Policy {
    format!("version = 1\n{text}").parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A builder whose time stands still.
pub(crate) fn builder(policy: &Policy) -> HttpLimiterBuilder {
    HttpLimiter::builder(policy).clock(ManualClock::new())
}
