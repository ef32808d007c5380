//! async-openai on top of a service of `http`'s requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};

use super::{Failure, Request};

/// Sends the requests of an [`async_openai::Client`] through a service:
/// `Client::with_config(..).with_http_service(OpenAiTransport::new(service))`.
///
/// The client's own retries end with this: `with_http_service` replaces them, so a request is not
/// tried again both here and there.
#[derive(Clone, Debug)]
pub struct OpenAiTransport<S>(S);

impl<S> OpenAiTransport<S> {
    /// Sends through `service`.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S, B> Service<HttpRequestFactory> for OpenAiTransport<S>
where
    S: Service<Request, Response = Response<B>, Error = Failure> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + Sync + 'static,
{
    type Response = ::reqwest::Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        // The service is asked when the request has been built.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let request = http::Request::<::reqwest::Body>::try_from(factory.build().await?)?;
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = Request::from_parts(head, Full::new(body));
            let response = service.oneshot(request).await?;
            Ok(response.map(::reqwest::Body::wrap).into())
        })
    }
}
