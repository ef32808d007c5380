//! The service: acquires, sends, learns, and sends again if that is of use.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tollgate::llm::Reply;
use tower_service::Service;

use super::body::LlmBody;
use super::erased::{AnyPermit, AnySource};
use super::error::LlmError;
use super::meter::Meter;
use super::payload::Payload;
use super::refusal::Beginning;
use super::request_copy::RequestCopy;
use super::retry::Attempt;
use super::settings::Settings;
use crate::BoxError;

/// An HTTP client whose requests keep to the limits of a model API; made by an
/// [`LlmLayer`](super::LlmLayer).
///
/// Its `poll_ready` only asks the client inside. The wait for a permit is part of the future that
/// `call` returns.
#[derive(Clone)]
pub struct LlmService<S> {
    inner: S,
    source: Arc<dyn AnySource>,
    settings: Arc<Settings>,
}

impl<S> LlmService<S> {
    pub(super) fn new(inner: S, source: Arc<dyn AnySource>, settings: Arc<Settings>) -> Self {
        Self { inner, source, settings }
    }

    /// The HTTP client inside, whose requests do not wait.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, B, A> Service<Request<B>> for LlmService<S>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
    A: Body<Data = Bytes> + Send + 'static,
    A::Error: Send,
{
    type Response = Response<LlmBody<A>>;
    type Error = LlmError<S::Error>;
    type Future = LlmFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(LlmError::Inner)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call. Its clone need not be ready.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        let (source, settings) = (Arc::clone(&self.source), Arc::clone(&self.settings));
        LlmFuture(Box::pin(send(inner, source, settings, request)))
    }
}

impl<S> fmt::Debug for LlmService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmService").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The future of an [`LlmService`].
///
/// # Cancel safety
///
/// If it is dropped while it waits, nothing is taken, and the requests behind it move up. If it is
/// dropped after the request was sent, [`on_drop`](tollgate::llm::LimiterBuilder::on_drop) decides
/// what counts as used.
#[must_use = "futures do nothing unless polled"]
pub struct LlmFuture<T, E>(Pin<Box<dyn Future<Output = Result<T, E>> + Send>>);

impl<T, E> Future for LlmFuture<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<T, E> fmt::Debug for LlmFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmFuture").finish_non_exhaustive()
    }
}

/// The answer that a caller gets.
type Answer<A> = Response<LlmBody<A>>;

/// What a caller gets.
type Outcome<A, E> = Result<Answer<A>, LlmError<E>>;

/// Sends a request until it is answered, or until another try is of no use.
///
/// All of it is one block, because each async function has its own copy of what it is given, and
/// all copies would be part of the future.
fn send<S, B, A>(
    mut inner: S,
    source: Arc<dyn AnySource>,
    settings: Arc<Settings>,
    request: Request<B>,
) -> impl Future<Output = Outcome<A, S::Error>>
where
    S: Service<Request<B>, Response = Response<A>>,
    B: Body + From<Bytes>,
    B::Error: Into<BoxError>,
    A: Body<Data = Bytes>,
{
    let (mut head, mut body) = request.into_parts();
    async move {
        let payload =
            Payload::read(body, settings.max_body).await.map_err(LlmError::RequestBody)?;
        let kept;
        let estimate;
        match payload {
            Payload::Whole(bytes) => {
                estimate = settings.estimator.estimate(head.uri.path(), &bytes);
                body = B::from(bytes.clone());
                kept = Some(bytes);
            }
            Payload::Stream(stream) => {
                estimate = settings.estimator.unknown();
                body = stream;
                kept = None;
            }
        }
        let deadline = settings.max_wait.map(|wait| source.now() + wait);
        let mut last: Option<Box<Outcome<A, S::Error>>> = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let timeout = deadline.map(|deadline| deadline - source.now());
            let permit = match (source.acquire(&estimate, timeout).await, last.take()) {
                (Ok(permit), _) => permit,
                (Err(error), None) => return Err(error.into()),
                // There is no other try. What became of the last one says why.
                (Err(_), Some(result)) => return *result,
            };
            let kept = kept.as_ref().filter(|_| tries < settings.tries);
            let again = kept.map(|bytes| Box::new(RequestCopy::of(&head, bytes)));
            if let Err(error) = permit.authorize(&settings.key_header, &mut head) {
                permit.cancel();
                return Err(LlmError::Key(error));
            }
            // The first time, the caller has asked whether it is ready.
            if tries > 1
                && let Err(error) = poll_fn(|cx| inner.poll_ready(cx)).await
            {
                permit.cancel();
                return Err(LlmError::Inner(error));
            }
            let (result, attempt) = match inner.call(Request::from_parts(head, body)).await {
                Ok(answer) => {
                    let status = answer.status();
                    if !status.is_client_error() && !status.is_server_error() {
                        return Ok(accepted(permit, answer));
                    }
                    // Apart, because it is rare and its future is large.
                    let patience = settings.error_body_patience;
                    let refused = Box::pin(refused(permit, answer, patience, tries));
                    let (answer, attempt) = refused.await;
                    (Ok(answer), attempt)
                }
                Err(error) => {
                    // As if a gateway had answered that it cannot reach the server.
                    let reply = Reply::new(502);
                    let attempt = Attempt::new(tries, &*permit, None, &reply);
                    permit.end(&reply);
                    (Err(LlmError::Inner(error)), attempt)
                }
            };
            match again {
                Some(again) if settings.wants_retry(&attempt) => {
                    attempt.tell();
                    last = Some(Box::new(result));
                    (head, body) = again.into_parts();
                }
                _ => return result,
            }
        }
    }
}

/// Learns from a success.
fn accepted<A: Body>(permit: AnyPermit, answer: Response<A>) -> Answer<A> {
    let status = answer.status().as_u16();
    permit.observe_head(&Reply::new(status).headers(answer.headers()));
    answer.map(|body| LlmBody::metered(body, Meter::new(permit, status)))
}

/// Learns from an answer that is an error.
async fn refused<A: Body<Data = Bytes>>(
    permit: AnyPermit,
    answer: Response<A>,
    patience: Duration,
    tries: u32,
) -> (Answer<A>, Attempt) {
    let (head, body) = answer.into_parts();
    let beginning = Beginning::read(body, patience).await;
    let error = beginning.error(head.status);
    let reply = error.add_to(Reply::new(error.status.as_u16()).headers(&head.headers));
    let attempt = Attempt::new(tries, &*permit, Some(error.status), &reply);
    permit.end(&reply);
    (Response::from_parts(head, LlmBody::repeated(beginning)), attempt)
}
