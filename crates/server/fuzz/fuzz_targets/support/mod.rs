//! Routers without sockets.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::runtime::Runtime;
use tollgate_http::address::Peer;
use tower::ServiceExt as _;

/// A policy with each kind of limit, and reports that give back.
pub const POLICY: &str = r#"
version = 1
always = ["flood"]
default_tier = "free"
[client]
header = "x-forwarded-for"
trusted_proxies = ["127.0.0.0/8"]
[limits.flood]
quota = "5/s burst 10"
key = "address"
[limits.calls]
quota = "60/min"
key = ["caller", "header:x-team"]
missing = "share"
[limits.hosts]
quota = "60/min"
key = "host"
missing = "share"
[tiers.free]
[tiers.premium]
calls = "600/min burst 100"
[[routes]]
name = "login"
method = "POST"
path = "/login"
limits = ["hosts"]
charge = [401, 403]
[[routes]]
name = "api"
path = "/v1/{*rest}"
limits = ["calls", "hosts"]
[response]
headers = ["ratelimit", "x-ratelimit"]
body = "problem"
[penalty]
key = "caller"
after = "30/min"
block = "1min"
"#;

/// A router, and a runtime in which it is asked.
pub struct Asked {
    runtime: Runtime,
    router: Router,
}

impl Asked {
    pub fn new(router: impl FnOnce() -> Router) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let router = {
            let _guard = runtime.enter();
            router()
        };
        Self { runtime, router }
    }

    /// Asks, and returns the answer with its body. No answer is an error of the service.
    pub fn ask(&self, mut request: Request<Body>, peer: Peer) -> (Response<()>, Bytes) {
        request.extensions_mut().insert(peer);
        let router = self.router.clone();
        let (parts, body) = self.runtime.block_on(async move {
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            (parts, body.collect().await.expect("the body is in memory").to_bytes())
        });
        assert!(!parts.status.is_server_error(), "{parts:?} {body:?}");
        let json = parts.headers.get(http::header::CONTENT_TYPE);
        if json.is_some_and(|value| value.as_bytes().ends_with(b"json")) {
            let read = serde_json::from_slice::<serde_json::Value>(&body);
            assert!(read.is_ok(), "{read:?} {body:?}");
        }
        (Response::from_parts(parts, ()), body)
    }
}
