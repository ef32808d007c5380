//! The layer for servers: refuses requests above their limits, and tells clients what is left.
//!
//! 1. [`RateLimitLayer`] collects who the caller is and asks its
//!    [`HttpLimiter`]. Nothing of the body is read.
//! 2. A refusal is answered at once: 429, or what the
//!    [outcome](crate::engine#the-order-of-a-decision) says, with `Retry-After`, the fields and the
//!    body of the policy. A gRPC call gets a gRPC status instead (feature `grpc`).
//! 3. Every other request goes on, with a [`RateLimitHandle`] in its extensions.
//! 4. The status of the response may give permits back (`charge` in the policy). Then the fields
//!    are added, as far as the handler has not set them.
//!
//! A WebSocket is charged once, at its upgrade, and a stream at its head. A request that is dropped
//! on its way stays charged.

mod body;
mod future;
mod handle;
mod service;
mod ticket;
mod who;

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use tollgate::Quota;
use tower_layer::Layer;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use handle::RateLimitHandle;
pub use service::RateLimit;
pub use who::RequestHead;

use crate::address::Peer;
use crate::engine::{BuildError, HttpLimiter};
use crate::policy::{KeyPart, Limit, Policy};
use who::Who;

/// A layer that asks an [`HttpLimiter`] about each request. A request that is refused does not
/// reach the service, and its body is not read.
///
/// The layer works with any service of `http` requests: axum, hyper, tonic. All clones of it, and
/// all services that it makes, share the limiter. If the same limiter stands twice before a
/// service, a request is charged once.
///
/// # Who the caller is
///
/// Each is looked for in this order:
///
/// * the peer: by [`peer`](Self::peer), in an extension of type [`Peer`], in axum's
///   `ConnectInfo<SocketAddr>` (feature `axum`), in tonic's `TcpConnectInfo` and `UdsConnectInfo`
///   (feature `tonic`), in an extension of type `SocketAddr`;
/// * the user: by [`user`](Self::user), in an extension of type [`Caller`](crate::Caller);
/// * the API key: by [`api_key`](Self::api_key) or [`api_key_header`](Self::api_key_header), in an
///   extension of type [`Caller`](crate::Caller);
/// * the tier: by [`tier`](Self::tier), in an extension of type [`Caller`](crate::Caller).
///
/// So a middleware that authenticates stands outside of this layer, and inserts a
/// [`Caller`](crate::Caller).
///
/// ```
/// use tollgate_http::Quota;
/// use tollgate_http::RateLimitLayer;
///
/// let layer = RateLimitLayer::per_ip(Quota::per_minute(60))?;
/// # Ok::<(), tollgate_http::BuildError>(())
/// ```
#[derive(Clone)]
pub struct RateLimitLayer {
    limiter: HttpLimiter,
    who: Arc<Who>,
}

impl RateLimitLayer {
    /// A layer that asks `limiter`. Several layers may ask the same one.
    #[must_use]
    pub fn new(limiter: HttpLimiter) -> Self {
        Self { limiter, who: Arc::default() }
    }

    /// The simple case: each client address has this quota, and everything else is as in an empty
    /// policy. An IPv6 address counts by its /64 network. No header is read: behind a proxy, use a
    /// [`Policy`] that names the proxy.
    ///
    /// # Errors
    ///
    /// If the quota is invalid.
    pub fn per_ip(quota: Quota) -> Result<Self, BuildError> {
        let limit = Limit::new("requests", quota).key([KeyPart::Address]);
        let policy = Policy::builder().limit(limit).always(["requests"]).build()?;
        Ok(Self::new(HttpLimiter::new(policy)?))
    }

    /// The limiter, for status pages, reloads and metrics.
    #[must_use]
    pub fn limiter(&self) -> &HttpLimiter {
        &self.limiter
    }

    /// Says who the user of a request is, such as by an extension that a middleware has inserted.
    /// Not by what the client only claims.
    ///
    /// ```
    /// # use tollgate_http::Quota;
    /// # use tollgate_http::RateLimitLayer;
    /// use std::sync::Arc;
    ///
    /// #[derive(Clone)]
    /// struct Session { user: Arc<str> }
    ///
    /// let layer = RateLimitLayer::per_ip(Quota::per_minute(60))?
    ///     .user(|head| Some(head.extensions.get::<Session>()?.user.clone()));
    /// # Ok::<(), tollgate_http::BuildError>(())
    /// ```
    #[must_use]
    pub fn user<T: Into<Arc<str>>>(
        self,
        user: impl Fn(&RequestHead<'_>) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        self.with(|who| who.user = Some(Arc::new(move |head| user(head).map(Into::into))))
    }

    /// Says what the API key of a request is. The limiter keeps it only as a keyed hash.
    #[must_use]
    pub fn api_key(
        self,
        api_key: impl Fn(&RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.with(|who| who.api_key = Some(Arc::new(api_key)))
    }

    /// The API key is the value of this header. A value that begins with `Bearer ` is the key
    /// without that word. The application must check the key before this layer, or any client can
    /// invent keys, each with a bucket of its own.
    #[must_use]
    pub fn api_key_header(self, name: HeaderName) -> Self {
        self.api_key(move |head| {
            let mut values = head.headers.get_all(&name).iter();
            let value = values.next()?.to_str().ok()?.trim();
            let is_bearer = value.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("bearer "));
            let key = if is_bearer { value[7..].trim_start() } else { value };
            values.next().is_none().then(|| key.to_owned())
        })
    }

    /// Says in which tier the caller is. A tier that the policy does not know is ignored.
    #[must_use]
    pub fn tier<T: Into<Arc<str>>>(
        self,
        tier: impl Fn(&RequestHead<'_>) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        self.with(|who| who.tier = Some(Arc::new(move |head| tier(head).map(Into::into))))
    }

    /// Says what the other end of the connection is, for servers whose connection information this
    /// layer does not know. A Unix socket is [`Peer::Unix`].
    #[must_use]
    pub fn peer(
        self,
        peer: impl Fn(&RequestHead<'_>) -> Option<Peer> + Send + Sync + 'static,
    ) -> Self {
        self.with(|who| who.peer = Some(Arc::new(peer)))
    }

    /// Says by which path the policy's routes know a request, instead of its own path: for
    /// protocols that have one path for everything, such as JSON-RPC, whose method a middleware has
    /// read. `None` stands for the request's own path.
    ///
    /// ```
    /// # use tollgate_http::Quota;
    /// # use tollgate_http::RateLimitLayer;
    /// #[derive(Clone)]
    /// struct RpcMethod(String);
    ///
    /// let layer = RateLimitLayer::per_ip(Quota::per_minute(60))?
    ///     .path(|head| Some(format!("/rpc/{}", head.extensions.get::<RpcMethod>()?.0)));
    /// # Ok::<(), tollgate_http::BuildError>(())
    /// ```
    #[must_use]
    pub fn path(
        self,
        path: impl Fn(&RequestHead<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.with(|who| who.path = Some(Arc::new(path)))
    }

    /// Compares the policy's routes with the route that axum's router has matched (`MatchedPath`),
    /// if there is one, and not with the path. So the limiter and the router can't read a path
    /// differently. The layer must stand where a route is known: inside of `Router::route_layer` or
    /// `Router::layer`.
    #[cfg(feature = "axum")]
    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    #[must_use]
    pub fn by_matched_path(self) -> Self {
        self.with(|who| who.by_matched_path = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Who)) -> Self {
        change(Arc::make_mut(&mut self.who));
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit::new(inner, self.limiter.clone(), Arc::clone(&self.who))
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").finish_non_exhaustive()
    }
}
