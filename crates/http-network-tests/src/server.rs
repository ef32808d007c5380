//! A server in the process of the test, with a runtime of its own.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use axum::Router;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};

use crate::DEADLINE;

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Taken when the server ends.
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves `router` on a free port of 127.0.0.1, with the peer of each connection as axum's
    /// `ConnectInfo`.
    #[must_use]
    pub fn start(router: Router) -> Self {
        Self::start_on("127.0.0.1:0", router)
    }

    /// Serves `router` on an address, whose port can be 0.
    #[must_use]
    pub fn start_on(address: &str, router: Router) -> Self {
        Self::run_on(address, |listener| async move {
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("axum serves for ever");
        })
    }

    /// Runs any server on a free port of 127.0.0.1.
    #[must_use]
    pub fn run<F>(serve: impl FnOnce(tokio::net::TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::run_on("127.0.0.1:0", serve)
    }

    fn run_on<F>(address: &str, serve: impl FnOnce(tokio::net::TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // From now on, connections are queued, so nobody has to wait for the server.
        let listener = TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a listener for tokio");
        let address = listener.local_addr().expect("its address");
        let runtime = runtime();
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of tokio");
        runtime.spawn(serve(listener));
        drop(entered);
        Self { address, runtime: Some(runtime) }
    }

    /// Serves `router` on a Unix socket, whose peers axum does not note.
    #[must_use]
    pub fn start_on_unix(socket: &Path, router: Router) -> Self {
        let runtime = runtime();
        let entered = runtime.enter();
        let listener = UnixListener::bind(socket).expect("a socket");
        runtime.spawn(async move { axum::serve(listener, router).await });
        drop(entered);
        Self { address: SocketAddr::from(([0, 0, 0, 0], 0)), runtime: Some(runtime) }
    }

    /// The address on which the server listens; 0.0.0.0:0 for a Unix socket.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path of this server.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Server {
    /// Ends the server, and waits until none of its handlers runs any more.
    pub fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(DEADLINE);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}
