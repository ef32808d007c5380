//! A server that answers a constant: through the listener and the router that the service has, with
//! the fields and the body that the service has answered, and without any work.

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tollgate_server::net::{Bounds, ListenAddress, Listener, Shutdown};

/// An answer.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    fields: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Reads an answer as HTTP/1.1 has it. What depends on the connection is left out.
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut fields = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ")?;
            if !matches!(name, "date" | "content-length" | "connection") {
                let name = HeaderName::try_from(name).ok()?;
                fields.append(name, HeaderValue::try_from(value).ok()?);
            }
        }
        Some(Self { status, fields, body: Bytes::copy_from_slice(body.as_bytes()) })
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.fields.clone();
        response
    }
}

/// Serves until the process is killed; writes its address first. The answer is in `file`.
pub(crate) fn serve(file: &Path) {
    let text = std::fs::read_to_string(file).expect("the answer is there");
    let answer = Answer::parse(&text).expect("an answer");
    // The runtime is that of the service.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let constant = move || {
            let response = answer.response();
            async move { response }
        };
        let router = Router::new()
            .route("/v1/check", any(constant.clone()))
            .route("/v1/forward-auth", any(constant.clone()))
            .fallback(constant);
        let address: ListenAddress = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::bind(&address).await.expect("a port");
        println!("{}", listener.address());
        listener.serve(router, Bounds::default(), Shutdown::default()).await;
    });
}
