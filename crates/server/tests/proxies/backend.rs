//! What is behind the proxies.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use tokio::runtime::Runtime;
use tollgate_server::net::{Bounds, ListenAddress, Listener, Shutdown};

/// A server that answers each request with what it has got: the line `METHOD URI`, the fields as
/// `name: value`, an empty line, and the body. It runs until it is dropped.
pub(crate) struct Backend {
    /// Its port of 127.0.0.1.
    pub(crate) port: u16,
    requests: Arc<AtomicUsize>,
    /// Taken when the server ends.
    runtime: Option<Runtime>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let requests = Arc::new(AtomicUsize::new(0));
        let router = Router::new().fallback(echo).with_state(Arc::clone(&requests));
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = runtime.block_on(Listener::bind(&address)).expect("a free port");
        let ListenAddress::Tcp(address) = *listener.address() else { unreachable!("it is TCP") };
        runtime.spawn(listener.serve(router, Bounds::default(), Shutdown::default()));
        Self { port: address.port(), requests, runtime: Some(runtime) }
    }

    /// How many requests have come, without those of the method OPTIONS.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn echo(State(requests): State<Arc<AtomicUsize>>, request: Request<Body>) -> String {
    let (head, body) = request.into_parts();
    if head.method != Method::OPTIONS {
        requests.fetch_add(1, Ordering::Relaxed);
    }
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes())).expect("a text");
    }
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    text + "\n" + &String::from_utf8_lossy(&body)
}
