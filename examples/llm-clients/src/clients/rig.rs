//! rig on top of a service of `http`'s requests.

#![expect(clippy::result_large_err, reason = "rig's error type is as large as it is")]

use std::error::Error;
use std::fmt;
use std::future::{Future, ready};

use bytes::Bytes;
use futures_lite::StreamExt as _;
use http::Response;
use http_body_util::{BodyDataStream, BodyExt as _, Full};
use rig_core::http_client::{
    Error as RigError, HttpClientExt, LazyBody, MultipartForm, Result as RigResult,
    StreamingResponse,
};
use tower::{Service, ServiceExt as _};

use super::{Failure, Request};

/// Sends the requests of a provider of rig through a service:
/// `OpenAIConfig::new(..).connect(RigTransport::new(service))`.
#[derive(Clone, Debug)]
pub struct RigTransport<S>(S);

impl<S> RigTransport<S> {
    /// Sends through `service`.
    pub fn new(service: S) -> Self {
        Self(service)
    }
}

/// A failure on the way to the server.
#[derive(Debug)]
struct NotSent(Failure);

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for NotSent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn not_sent(failure: impl Into<Failure>) -> RigError {
    RigError::instance(NotSent(failure.into()))
}

/// Sends, and turns what is no success into the error that rig expects of a transport.
async fn send<S, B>(service: S, request: http::Request<Bytes>) -> RigResult<Response<B>>
where
    S: Service<Request, Response = Response<B>, Error = Failure> + Send,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    let response = service.oneshot(request.map(Full::new)).await.map_err(not_sent)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(not_sent)?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Err(RigError::non_success_with_details(head.status, head.headers, body))
}

impl<S, B> HttpClientExt for RigTransport<S>
where
    S: Service<Request, Response = Response<B>, Error = Failure> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
{
    fn send<T, U>(
        &self,
        request: http::Request<T>,
    ) -> impl Future<Output = RigResult<Response<LazyBody<U>>>> + Send + 'static
    where
        T: Into<Bytes> + Send,
        U: From<Bytes> + Send + 'static,
    {
        let sent = send(self.0.clone(), request.map(Into::into));
        async move {
            Ok(sent.await?.map(|body| -> LazyBody<U> {
                Box::pin(async { Ok(body.collect().await.map_err(not_sent)?.to_bytes().into()) })
            }))
        }
    }

    async fn send_streaming<T>(&self, request: http::Request<T>) -> RigResult<StreamingResponse>
    where
        T: Into<Bytes> + Send,
    {
        let response = send(self.0.clone(), request.map(Into::into)).await?;
        Ok(response.map(|body| -> rig_core::http_client::BoxedStream {
            Box::pin(BodyDataStream::new(body).map(|chunk| chunk.map_err(not_sent)))
        }))
    }

    fn send_multipart<U>(
        &self,
        _: http::Request<MultipartForm>,
    ) -> impl Future<Output = RigResult<Response<LazyBody<U>>>> + Send + 'static
    where
        U: From<Bytes> + Send + 'static,
    {
        // Uploads, such as audio: no chat needs them.
        ready(Err(not_sent("this transport sends no forms")))
    }
}
