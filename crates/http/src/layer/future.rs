//! The response to a request: a decision, then the service, then the fields.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::answer::{self, Answer};
use super::body::ResponseBody;
use super::handle::RateLimitHandle;
use crate::engine::{Deciding, Decision, HttpLimiter};

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
            #[pin]
            deciding: Deciding,
            limiter: HttpLimiter,
            request: Request<B>,
            service: S,
        },
        // The request was allowed.
        Serving {
            #[pin]
            future: F,
            allowed: Allowed,
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

/// What is kept of an allowed request until its response is there.
struct Allowed {
    limiter: HttpLimiter,
    decision: Decision,
    /// How often handles of the limiter had been used before the request.
    uses: usize,
    /// Whether the request was one of gRPC, whose answers tell limits only in refusals.
    is_grpc: bool,
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
    pub(super) fn decided(
        limiter: &HttpLimiter,
        decision: Decision,
        request: Request<B>,
        service: &mut S,
    ) -> Self {
        Self { state: decided(limiter, decision, request, service) }
    }

    /// The response to a request about which the store answers later.
    pub(super) fn deciding(
        limiter: HttpLimiter,
        deciding: Deciding,
        request: Request<B>,
        service: S,
    ) -> Self {
        Self { state: State::Deciding { deciding, limiter, request, service } }
    }
}

/// Goes on with a request after the decision about it.
fn decided<S, B>(
    limiter: &HttpLimiter,
    decision: Decision,
    mut request: Request<B>,
    service: &mut S,
) -> State<S, B, S::Future>
where
    S: Service<Request<B>>,
{
    let is_grpc = answer::is_grpc(request.headers());
    if !decision.is_allowed() {
        return State::Refused { answer: answer::refusal(limiter, &decision, is_grpc) };
    }
    let uses = limiter.handle_uses();
    RateLimitHandle::insert(limiter, &decision, request.extensions_mut());
    let allowed = Allowed { limiter: limiter.clone(), decision, uses, is_grpc };
    State::Serving { future: service.call(request), allowed }
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
                StateProjection::Deciding { deciding, .. } => {
                    let decision = ready!(deciding.poll(context));
                    if let StateReplaced::Deciding { limiter, request, mut service, .. } =
                        state.as_mut().project_replace(State::Done)
                    {
                        state.set(decided(&limiter, decision, request, &mut service));
                    }
                }
                StateProjection::Serving { future, allowed } => {
                    let response = ready!(future.poll(context));
                    return Poll::Ready(response.map(|response| {
                        let mut response = response.map(ResponseBody::of_service);
                        allowed.finish(&mut response);
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

impl Allowed {
    /// Settles the request by the status of its response, and tells what is left.
    fn finish<R>(&mut self, response: &mut Response<R>) {
        let Self { limiter, decision, uses, is_grpc } = self;
        if *uses != limiter.handle_uses() {
            // A handler may have charged more, or given back.
            limiter.look_again(decision);
        }
        limiter.answered(decision, response.status().as_u16());
        if !*is_grpc {
            answer::tell(limiter, decision, response);
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
