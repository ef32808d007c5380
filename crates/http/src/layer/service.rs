//! The service that the layer makes.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Method, Request, Response};
use tower_service::Service;

use super::body::ResponseBody;
use super::future::ResponseFuture;
use super::handle::RateLimitHandle;
use super::who::Who;
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
    fn decide(
        &self,
        parts: &Parts,
        outer: Option<&RateLimitHandle>,
    ) -> (RateLimitHandle, Option<Later>) {
        let (identity, path) = (self.who.identity(parts), self.who.path(parts));
        let uri = Who::uri(parts);
        let path = path.as_deref().unwrap_or(uri.path());
        let mut facts = Facts::new(method(parts), path).headers(&parts.headers);
        facts.peer = identity.peer;
        facts.host = uri.host();
        facts.template = self.who.template(parts);
        facts = facts.caller(&identity.caller);
        RateLimitHandle::decide(&self.limiter, outer, &facts)
    }
}

/// The method by which routes know the request. A WebSocket in HTTP/2 is opened by an extended
/// CONNECT, which names a path (RFC 8441); in HTTP/1.1, the same request is a GET.
fn method(parts: &Parts) -> &str {
    let is_extended = parts.method == Method::CONNECT && parts.uri.path_and_query().is_some();
    if is_extended { "GET" } else { parts.method.as_str() }
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
        let (parts, body) = request.into_parts();
        let (handle, later) = self.decide(&parts, parts.extensions.get());
        let request = Request::from_parts(parts, body);
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
