//! An axum server that says hello.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use axum::routing::{Route, get};
use http::{HeaderName, HeaderValue};
use tokio::net::TcpListener;
use tower::{Layer, Service};

/// Fields as ours has them. Names and values are checked when this is compiled, and not for each
/// response.
const FIELDS: [(HeaderName, HeaderValue); 5] = [
    field("ratelimit-policy", "\"requests\";q=9999;w=1"),
    field("ratelimit", "\"requests\";r=9998;t=1"),
    field("x-ratelimit-limit", "9999"),
    field("x-ratelimit-remaining", "9998"),
    field("x-ratelimit-reset", "1"),
];

const fn field(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// A server on a thread of its own, until the program ends.
pub(crate) struct Hello {
    address: SocketAddr,
    /// The thread's number in the kernel.
    thread: i32,
}

impl Hello {
    /// Without a layer.
    pub(crate) fn bare() -> Self {
        Self::serve(router())
    }

    /// Without a layer, but with fields as ours has them.
    pub(crate) fn with_fields() -> Self {
        let hello = || async { (FIELDS, "hello") };
        Self::serve(Router::new().route("/", get(hello)))
    }

    /// Behind a layer.
    pub(crate) fn behind<L>(layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request, Error = Infallible> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self::serve(router().layer(layer))
    }

    fn serve(router: Router) -> Self {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("a TCP socket");
                let thread = rustix::thread::gettid().as_raw_nonzero().get();
                tell.send(Self { address, thread }).expect("somebody waits for it");
                let service = router.into_make_service_with_connect_info::<SocketAddr>();
                axum::serve(listener, service).await.expect("a server");
            });
        });
        told.recv().expect("the server has started")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time that the server has had: all of its thread's.
    pub(crate) fn cpu_time(&self) -> Duration {
        let path = format!("/proc/self/task/{}/schedstat", self.thread);
        let text = std::fs::read_to_string(path).expect("Linux tells it there");
        let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.expect("a number"))
    }
}

fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}
