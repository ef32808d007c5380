//! The response to a request: a decision, then the service, then the fields.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use super::handle::RateLimitHandle;
use crate::engine::store::Later;
use crate::engine::{self as answer, Answer};

pin_project! {
    /// The response to a request.
    ///
    /// # Cancel safety
    ///
    /// A request whose response future is dropped stays charged, because the service may have done
    /// its work.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[project_replace = StateReplaced]
    enum State<S, B, F> {
        // The store has not answered yet.
        Deciding {
            handle: RateLimitHandle,
            later: Later,
            request: Request<B>,
            service: S,
        },
        // The request was allowed.
        Serving {
            #[pin]
            future: F,
            handle: RateLimitHandle,
            // Answers of gRPC tell limits only in refusals.
            is_grpc: bool,
        },
        // The same limiter has charged the request already.
        Charged {
            #[pin]
            future: F,
        },
        // The request was refused.
        Refused {
            answer: Answer,
        },
        // The response has been given.
        Done,
    }
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    /// The response to a request that the same limiter has charged already.
    pub(super) fn charged(future: S::Future) -> Self {
        Self { state: State::Charged { future } }
    }

    /// The response to a request for which `service` is ready.
    pub(super) fn decided(handle: RateLimitHandle, request: Request<B>, service: &mut S) -> Self {
        Self { state: decided(handle, request, service) }
    }

    /// The response to a request about which the store answers later.
    pub(super) fn deciding(
        handle: RateLimitHandle,
        later: Later,
        request: Request<B>,
        service: S,
    ) -> Self {
        Self { state: State::Deciding { handle, later, request, service } }
    }
}

/// Goes on with a request after the decision about it.
fn decided<S, B>(
    handle: RateLimitHandle,
    mut request: Request<B>,
    service: &mut S,
) -> State<S, B, S::Future>
where
    S: Service<Request<B>>,
{
    let is_grpc = answer::is_grpc(request.headers());
    if !handle.decision().is_allowed() {
        let answer = answer::refusal(handle.limiter(), handle.decision(), is_grpc);
        return State::Refused { answer };
    }
    request.extensions_mut().insert(handle.clone());
    State::Serving { future: service.call(request), handle, is_grpc }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Deciding { handle, later, .. } => {
                    handle.conclude(ready!(later.as_mut().poll(context)));
                    if let StateReplaced::Deciding { handle, request, mut service, .. } =
                        state.as_mut().project_replace(State::Done)
                    {
                        state.set(decided(handle, request, &mut service));
                    }
                }
                StateProjection::Serving { future, handle, is_grpc } => {
                    let response = ready!(future.poll(context));
                    return Poll::Ready(response.map(|response| {
                        let mut response = response.map(ResponseBody::of_service);
                        handle.settle(response.status());
                        if !*is_grpc {
                            answer::tell(handle.limiter(), handle.decision(), &mut response);
                        }
                        response
                    }));
                }
                StateProjection::Charged { future } => {
                    let response = ready!(future.poll(context));
                    return Poll::Ready(
                        response.map(|response| response.map(ResponseBody::of_service)),
                    );
                }
                StateProjection::Refused { .. } => {
                    if let StateReplaced::Refused { answer } =
                        state.as_mut().project_replace(State::Done)
                    {
                        return Poll::Ready(Ok(answer.map(ResponseBody::of_refusal)));
                    }
                }
                StateProjection::Done => panic!("a response was polled after it was given"),
            }
        }
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
