//! The service: acquires, sends, learns, and sends again if that is of use.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tollgate::llm::Reply;
use tower_service::Service;

use super::body::LlmBody;
use super::erased::{AnyPermit, AnySource, OpenPermit};
use super::error::{BoxError, LlmError};
use super::meter::Meter;
use super::payload::Payload;
use super::refusal::Beginning;
use super::retry::Attempt;
use super::settings::Settings;
use crate::llm::Estimate;

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
        LlmFuture(Box::pin(async move {
            let (head, body) = request.into_parts();
            let payload = Payload::read(body, settings.max_body).await;
            let payload = payload.map_err(LlmError::RequestBody)?;
            let estimate = match &payload {
                Payload::Whole(bytes) => settings.estimator.estimate(head.uri.path(), bytes),
                Payload::Stream(_) => settings.estimator.unknown(),
            };
            let (source, settings) = (&*source, &*settings);
            Call { inner, source, settings, estimate, tries: 0 }.run(head, payload).await
        }))
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

/// One request, however often it is sent.
struct Call<'a, S> {
    inner: S,
    source: &'a dyn AnySource,
    settings: &'a Settings,
    estimate: Estimate,
    tries: u32,
}

/// The answer that a caller gets.
type Answer<A> = Response<LlmBody<A>>;

/// What comes of one try.
enum Outcome<A, E> {
    Done(A),
    /// The answer is an error, or the client has failed. With what a policy for retries knows of
    /// it.
    Failed(Result<A, E>, Attempt),
}

impl<S> Call<'_, S> {
    /// Sends the request until it is answered, or until another try is of no use.
    async fn run<B, A>(
        mut self,
        head: Parts,
        payload: Payload<B>,
    ) -> Result<Answer<A>, LlmError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<A>>,
        B: From<Bytes>,
        A: Body<Data = Bytes>,
    {
        let deadline = self.settings.max_wait.map(|wait| self.source.now() + wait);
        let (body, kept) = match payload {
            Payload::Whole(bytes) => (B::from(bytes.clone()), Some(bytes)),
            Payload::Stream(body) => (body, None),
        };
        let mut request = (head, body);
        let mut last = None;
        loop {
            let timeout = deadline.map(|deadline| deadline - self.source.now());
            let permit = match (self.source.acquire(&self.estimate, timeout).await, last.take()) {
                (Ok(permit), _) => permit,
                (Err(error), None) => return Err(error.into()),
                // There is no other try. What became of the last one says why.
                (Err(_), Some(result)) => return result,
            };
            let kept = kept.as_ref().filter(|_| self.tries + 1 < self.settings.tries);
            let again = kept.map(|bytes| (request.0.clone(), B::from(bytes.clone())));
            match (self.attempt(permit, request).await?, again) {
                (Outcome::Done(answer), _) => return Ok(answer),
                (Outcome::Failed(result, attempt), Some(again))
                    if self.settings.wants_retry(&attempt) =>
                {
                    attempt.tell();
                    last = Some(result.map_err(LlmError::Inner));
                    request = again;
                }
                (Outcome::Failed(result, _), _) => return result.map_err(LlmError::Inner),
            }
        }
    }

    /// Sends the request once.
    async fn attempt<B, A>(
        &mut self,
        permit: AnyPermit,
        (mut head, body): (Parts, B),
    ) -> Result<Outcome<Answer<A>, S::Error>, LlmError<S::Error>>
    where
        S: Service<Request<B>, Response = Response<A>>,
        A: Body<Data = Bytes>,
    {
        if let Err(error) = permit.authorize(&self.settings.key_header, &mut head) {
            permit.cancel();
            return Err(LlmError::Key(error));
        }
        // The first time, the caller has asked whether it is ready.
        if self.tries > 0
            && let Err(error) = poll_fn(|cx| self.inner.poll_ready(cx)).await
        {
            permit.cancel();
            return Err(LlmError::Inner(error));
        }
        self.tries += 1;
        match self.inner.call(Request::from_parts(head, body)).await {
            Ok(answer) => Ok(self.answered(permit, answer).await),
            Err(error) => {
                // As if a gateway had answered that it cannot reach the server.
                let reply = Reply::new(502);
                let attempt = self.attempt_with(&*permit, None, &reply);
                permit.end(&reply);
                Ok(Outcome::Failed(Err(error), attempt))
            }
        }
    }

    /// Learns from an answer.
    async fn answered<A, E>(
        &mut self,
        permit: AnyPermit,
        answer: Response<A>,
    ) -> Outcome<Answer<A>, E>
    where
        A: Body<Data = Bytes>,
    {
        let (head, body) = answer.into_parts();
        let status = head.status;
        let reply = |status: StatusCode| Reply::new(status.as_u16()).headers(&head.headers);
        if !status.is_client_error() && !status.is_server_error() {
            permit.observe_head(&reply(status));
            let meter = Meter::new(permit, status.as_u16());
            return Outcome::Done(Response::from_parts(head, LlmBody::metered(body, meter)));
        }
        let beginning = Beginning::read(body, self.settings.error_body_patience).await;
        let error = beginning.error(status);
        let reply = error.add_to(reply(error.status));
        let attempt = self.attempt_with(&*permit, Some(error.status), &reply);
        permit.end(&reply);
        let answer = Response::from_parts(head, LlmBody::repeated(beginning));
        Outcome::Failed(Ok(answer), attempt)
    }

    fn attempt_with(
        &self,
        permit: &dyn OpenPermit,
        status: Option<StatusCode>,
        reply: &Reply,
    ) -> Attempt {
        Attempt {
            tries: self.tries,
            status,
            meaning: reply.meaning(),
            wait: reply.reported().retry_after,
            has_other_keys: permit.has_other_keys(),
        }
    }
}
