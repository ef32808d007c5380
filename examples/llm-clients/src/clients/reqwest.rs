//! reqwest as a service of `http`'s requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body_util::BodyExt as _;
use tower::Service;

use super::{Failure, Request};

/// Sends requests with a [`reqwest::Client`].
#[derive(Clone, Debug, Default)]
pub struct Reqwest(::reqwest::Client);

impl Reqwest {
    /// Sends with this client, and so with its pool of connections and its settings.
    #[must_use]
    pub fn new(client: ::reqwest::Client) -> Self {
        Self(client)
    }
}

impl Service<Request> for Reqwest {
    type Response = Response<::reqwest::Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // reqwest bounds nothing here: what bounds the requests is the layer above.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = ::reqwest::Request::try_from(http::Request::from_parts(head, body))?;
            Ok(client.execute(request).await?.into())
        })
    }
}
