//! The service: waits, then sends, then reads the answer.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::error::{NotSent, WaitServiceError};
use super::hosts::Hosts;
use super::key::{ByHost, HttpResponse, ReadAnswer, RequestKey};
use super::layer::WaitLayer;

/// An HTTP client whose requests wait for their turn; made by a [`WaitLayer`].
///
/// Its `poll_ready` only asks the client inside. The wait is part of the future that `call`
/// returns, so a call that is dropped while it waits gives its place back, and a slow host does not
/// hold up the callers of other hosts.
pub struct WaitService<S, K = ByHost, A = HttpResponse> {
    pub(super) inner: S,
    pub(super) layer: WaitLayer<K, A>,
}

impl<S, K, A> WaitService<S, K, A> {
    /// The HTTP client inside, whose requests through this do not wait.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, R, K, A> Service<R> for WaitService<S, K, A>
where
    S: Service<R> + Clone,
    K: RequestKey<R>,
    A: ReadAnswer<S::Response>,
{
    type Response = S::Response;
    type Error = WaitServiceError<S::Error>;
    type Future = WaitFuture<S, R, A>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(WaitServiceError::Inner)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let host = self.layer.key.key(&request);
        // The service that was polled ready is the one to call. Its clone need not be ready.
        let next = self.inner.clone();
        let service = mem::replace(&mut self.inner, next);
        let (hosts, waits_for) = (Arc::clone(&self.layer.hosts), Arc::clone(&host));
        let turn: Turn = Box::pin(async move { hosts.wait(&waits_for).await });
        WaitFuture {
            host,
            hosts: Arc::clone(&self.layer.hosts),
            answer: Arc::clone(&self.layer.answer),
            state: State::Waiting { turn, call: Some((service, request)) },
        }
    }
}

impl<S: Clone, K, A> Clone for WaitService<S, K, A> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, K, A> fmt::Debug for WaitService<S, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitService").finish_non_exhaustive()
    }
}

type Turn = Pin<Box<dyn Future<Output = Result<(), NotSent>> + Send>>;

pin_project! {
    /// The future of a [`WaitService`]: the wait, and then the request.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it waits, nothing is taken from the host's quota, and the requests
    /// behind it move up. Once the request is given to the client inside, it counts, whatever
    /// becomes of it.
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitFuture<S: Service<R>, R, A> {
        host: Arc<str>,
        hosts: Arc<Hosts>,
        answer: Arc<A>,
        #[pin]
        state: State<S, R, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R, F> {
        Waiting { turn: Turn, call: Option<(S, R)> },
        Sent { #[pin] future: F },
    }
}

impl<S, R, A> Future for WaitFuture<S, R, A>
where
    S: Service<R>,
    A: ReadAnswer<S::Response>,
{
    type Output = Result<S::Response, WaitServiceError<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Waiting { turn, call } => {
                    // Empty if the wait has failed and the future is polled once more.
                    if call.is_none() {
                        return Poll::Pending;
                    }
                    let outcome = ready!(turn.as_mut().poll(cx));
                    let call = call.take();
                    outcome?;
                    let Some((mut service, request)) = call else { return Poll::Pending };
                    let future = service.call(request);
                    this.state.set(State::Sent { future });
                }
                StateProjection::Sent { future } => {
                    let answer = ready!(future.poll(cx)).map_err(WaitServiceError::Inner)?;
                    // Before the answer is passed on: who sees it and sends another request must
                    // find the pause.
                    let (status, headers) = this.answer.read(&answer);
                    this.hosts.learn(this.host, status, headers);
                    return Poll::Ready(Ok(answer));
                }
            }
        }
    }
}

impl<S: Service<R>, R, A> fmt::Debug for WaitFuture<S, R, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFuture").field("host", &self.host).finish_non_exhaustive()
    }
}
