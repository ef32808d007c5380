//! A pool of API keys as a tower layer: the smallest one that is of use.
//!
//! It is built on `KeyPool::call` alone, and so it has one weakness: a streamed answer counts as
//! its estimate, because its usage is told only at its end.

// The seam: `tollgate-http` is to have a layer of its own for this (`LlmLayer`, feature
// `llm-tower`), which also settles streams. It takes the place of this file and of `estimate.rs`;
// the adapters and the examples stay as they are.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::response::Parts;
use http::{HeaderValue, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use tollgate::llm::{CallError, KeyPool, Reply};
use tower::{Layer, Service, ServiceExt as _};

use super::estimate::{estimate, spent};
use super::{Failure, Request};

/// Puts a pool of API keys under a client.
///
/// Each request waits until a key can serve it, is sent with that key, teaches the pool what the
/// answer says, and is sent again if that is of use.
#[derive(Clone, Debug)]
pub struct PooledLayer {
    pool: Arc<KeyPool<String>>,
    tries: u32,
}

/// The service of a [`PooledLayer`].
#[derive(Clone, Debug)]
pub struct PooledService<S> {
    layer: PooledLayer,
    inner: S,
}

impl PooledLayer {
    /// Sends each request at most `tries` times, each time with the key of `pool` that can serve it
    /// first.
    #[must_use]
    pub fn new(pool: Arc<KeyPool<String>>, tries: u32) -> Self {
        Self { pool, tries }
    }
}

impl<S> Layer<S> for PooledLayer {
    type Service = PooledService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PooledService { layer: self.clone(), inner }
    }
}

/// The body of an answer: read already, or still to come.
type Body = BoxBody<Bytes, Failure>;

impl<S, B> Service<Request> for PooledService<S>
where
    S: Service<Request, Response = Response<B>, Error = Failure> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + Sync + 'static,
{
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        // A request waits in its own future, where the pool knows how large it is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { layer: PooledLayer { pool, tries }, inner } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let estimate = estimate(&body);
            let send = |key: tollgate::llm::PoolKey<String>| {
                let mut request = Request::from_parts(head.clone(), Full::new(body.clone()));
                let inner = inner.clone();
                async move {
                    let bearer = HeaderValue::try_from(format!("Bearer {}", key.secret()))?;
                    request.headers_mut().insert(AUTHORIZATION, bearer);
                    Answer::read(inner.oneshot(request).await?, estimate.is_stream).await
                }
            };
            let answer = pool.call(estimate.tokens, tries, send, Answer::reply).await;
            match answer {
                // The client is told what the server said, in the server's words.
                Ok(answer) | Err(CallError::Refused { response: answer, .. }) => {
                    Ok(answer.into_response())
                }
                Err(CallError::Limited(error)) => Err(error.into()),
                Err(CallError::Request(failure)) => Err(failure),
                Err(other) => Err(format!("the call has failed: {other}").into()),
            }
        })
    }
}

/// An answer, of which the pool needs to know the usage.
#[derive(Debug)]
struct Answer {
    head: Parts,
    body: AnswerBody,
}

#[derive(Debug)]
enum AnswerBody {
    Read(Bytes),
    ToCome(Body),
}

impl Answer {
    async fn read<B>(response: Response<B>, is_stream: bool) -> Result<Self, Failure>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + Sync + 'static,
    {
        let (head, body) = response.into_parts();
        let body = body.map_err(Into::into).boxed();
        // Errors are short, also of requests for a stream, and a retry does without the body.
        let body = if is_stream && head.status.is_success() {
            AnswerBody::ToCome(body)
        } else {
            AnswerBody::Read(body.collect().await?.to_bytes())
        };
        Ok(Self { head, body })
    }

    /// What the pool must know.
    fn reply(&self) -> Reply {
        let reply = Reply::new(self.head.status.as_u16()).headers(&self.head.headers);
        match &self.body {
            AnswerBody::Read(body) => match spent(body) {
                Some(tokens) => reply.spent(tokens),
                None => reply,
            },
            AnswerBody::ToCome(_) => reply,
        }
    }

    fn into_response(self) -> Response<Body> {
        let Self { head, body } = self;
        let body = match body {
            AnswerBody::Read(body) => Full::new(body).map_err(|never| match never {}).boxed(),
            AnswerBody::ToCome(body) => body,
        };
        Response::from_parts(head, body)
    }
}
