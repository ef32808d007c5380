//! A service that a test watches, and requests for it.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use tollgate_http::address::Peer;
use tollgate_http::{HttpLimiter, RateLimitLayer};
use tower_layer::Layer;
use tower_service::Service;

use crate::stores::block_on;

/// Answers with a function. It must be polled ready before each call, and a clone is not ready.
pub(crate) struct Probe<F> {
    is_ready: bool,
    pub(crate) calls: Arc<AtomicUsize>,
    answer: Arc<F>,
}

impl<F> Probe<F> {
    pub(crate) fn new(answer: F) -> Self {
        Self { is_ready: false, calls: Arc::default(), answer: Arc::new(answer) }
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl<F> Clone for Probe<F> {
    fn clone(&self) -> Self {
        let (calls, answer) = (Arc::clone(&self.calls), Arc::clone(&self.answer));
        Self { is_ready: false, calls, answer }
    }
}

impl<B, F, R, T> Service<Request<B>> for Probe<F>
where
    F: Fn(Request<B>) -> R,
    R: Future<Output = Result<Response<T>, &'static str>>,
{
    type Response = Response<T>;
    type Error = &'static str;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> R {
        assert!(std::mem::take(&mut self.is_ready), "the service that is called was polled ready");
        self.calls.fetch_add(1, Ordering::Relaxed);
        (self.answer)(request)
    }
}

/// A request for `path` without a body.
pub(crate) fn request(path: &str) -> Request<String> {
    let mut request = Request::new(String::new());
    *request.uri_mut() = path.parse().expect("a path");
    request.extensions_mut().insert(Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    request
}

pub(crate) fn layer(limiter: &HttpLimiter) -> RateLimitLayer {
    RateLimitLayer::new(limiter.clone())
}

/// A probe that answers with a status, behind a limiter.
pub(crate) fn behind<S>(limiter: &HttpLimiter, service: S) -> tollgate_http::layer::RateLimit<S> {
    layer(limiter).layer(service)
}

/// Answers at once.
pub(crate) async fn answer(status: u16) -> Result<Response<String>, &'static str> {
    let mut response = Response::new("hello".to_owned());
    *response.status_mut() = status.try_into().expect("a status");
    Ok(response)
}

/// Polls a service ready, and calls it.
pub(crate) fn call<S: Service<Request<B>>, B>(service: &mut S, request: Request<B>) -> S::Future
where
    S::Error: std::fmt::Debug,
{
    block_on(poll_fn(|context| service.poll_ready(context))).expect("ready");
    service.call(request)
}

/// The response to a request.
pub(crate) fn send<S: Service<Request<B>>, B>(
    service: &mut S,
    request: Request<B>,
) -> Result<S::Response, S::Error>
where
    S::Error: std::fmt::Debug,
{
    block_on(call(service, request))
}

/// A field of a response, as text.
pub(crate) fn field<'a, T>(response: &'a Response<T>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// What the response says is left.
pub(crate) fn left<T>(response: &Response<T>) -> u64 {
    let left = field(response, "x-ratelimit-remaining").expect("a field");
    left.parse().expect("a number")
}
