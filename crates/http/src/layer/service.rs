//! The service that the layer makes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use tower_service::Service;

use super::body::ResponseBody;
use super::future::ResponseFuture;
use super::handle::RateLimitHandle;
use super::who::{RequestHead, Who};
use crate::engine::store::Later;
use crate::engine::{Facts, HttpLimiter};

/// A service behind a limiter; made by [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Clone)]
pub struct RateLimit<S> {
    inner: S,
    limiter: HttpLimiter,
    who: Arc<Who>,
}

impl<S> RateLimit<S> {
    pub(super) fn new(inner: S, limiter: HttpLimiter, who: Arc<Who>) -> Self {
        Self { inner, limiter, who }
    }

    /// The service behind the limiter.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Decides about a request.
    fn decide(&self, head: &RequestHead<'_>) -> (RateLimitHandle, Option<Later>) {
        let (identity, path, uri) = (self.who.identity(head), self.who.path(head), Who::uri(head));
        let mut facts = match &path {
            Some(path) => Facts::new(method(head), path),
            None => Facts::of_path(method(head), uri.path()),
        };
        facts = facts.headers(head.headers).caller(&identity.caller);
        facts.peer = identity.peer;
        facts.host = uri.host();
        facts.template = self.who.template(head);
        RateLimitHandle::decide(&self.limiter, head.extensions.get(), &facts)
    }
}

/// The method by which routes know the request. A WebSocket in HTTP/2 is opened by an extended
/// CONNECT, which names a path (RFC 8441); in HTTP/1.1, the same request is a GET.
fn method<'a>(head: &RequestHead<'a>) -> &'a str {
    let is_extended = *head.method == Method::CONNECT && head.uri.path_and_query().is_some();
    if is_extended { "GET" } else { head.method.as_str() }
}

impl<S, B, R> Service<Request<B>> for RateLimit<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture<S, B> {
        let outer = request.extensions().get::<RateLimitHandle>();
        if outer.is_some_and(|outer| outer.is_of(&self.limiter)) {
            return ResponseFuture::charged(self.inner.call(request));
        }
        let (handle, later) = self.decide(&RequestHead::of(&request));
        match later {
            None => ResponseFuture::decided(handle, request, &mut self.inner),
            Some(later) => {
                // The service that was polled ready is the one that is called.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                ResponseFuture::deciding(handle, later, request, ready)
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for RateLimit<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.inner).finish_non_exhaustive()
    }
}
