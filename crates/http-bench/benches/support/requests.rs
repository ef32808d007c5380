//! The requests that are asked about, and the service behind the layers, which does nothing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderName, HeaderValue, Request, Response, Uri};
use tower::Service;

/// The first address; the others follow.
const FIRST: u32 = u32::from_be_bytes([11, 0, 0, 0]);

/// Where those begin who are in no crowd.
const STRANGERS: u64 = 1 << 27;

/// The user of a request, as a middleware that authenticates would note it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct User(pub(crate) Arc<str>);

/// From whom requests come.
#[derive(Clone)]
pub(crate) struct Crowd {
    /// How many there are; `None`: nobody comes twice.
    count: Option<u64>,
    users: Arc<[User]>,
    uri: Uri,
}

impl Crowd {
    /// So many clients, who come in a scattered order.
    pub(crate) fn of(count: u32) -> Self {
        Self { count: Some(count.into()), users: [].into(), uri: Uri::from_static("/v1/items") }
    }

    /// Clients who are all new.
    pub(crate) fn of_strangers() -> Self {
        Self { count: None, ..Self::of(0) }
    }

    /// The same clients, each with a user.
    pub(crate) fn with_users(self) -> Self {
        let user = |number| User(format!("user-{number:06}").into());
        Self { users: (0..self.count.unwrap_or(1)).map(user).collect(), ..self }
    }

    /// The same clients, who ask for another path.
    pub(crate) fn asking_for(self, path: &str) -> Self {
        Self { uri: path.parse().expect("a path"), ..self }
    }

    /// How many clients there are, if they are known.
    pub(crate) fn known(&self) -> u64 {
        self.count.unwrap_or(0)
    }

    /// The request that comes at this place. Over a while, all clients come equally often.
    pub(crate) fn request(&self, at: u64) -> Request<()> {
        // A golden-ratio sequence: neighbours in time are no neighbours in memory.
        self.request_of(match self.count {
            Some(count) => ((at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) * count) >> 32,
            None => STRANGERS + at,
        })
    }

    /// A request of one of the clients.
    pub(crate) fn request_of(&self, client: u64) -> Request<()> {
        let offset = u32::try_from(client).expect("fewer clients than addresses");
        let address = SocketAddr::from((Ipv4Addr::from(FIRST + offset), 50_000));
        let mut request = Request::new(());
        *request.uri_mut() = self.uri.clone();
        request.extensions_mut().insert(ConnectInfo(address));
        if !self.users.is_empty() {
            let user = &self.users[usize::try_from(client).expect("it fits") % self.users.len()];
            request.extensions_mut().insert(user.clone());
        }
        request
    }
}

/// Answers every request with an empty response.
#[derive(Clone, Copy)]
pub(crate) struct NoOp;

impl Service<Request<()>> for NoOp {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

/// Answers every request with an empty response that has five fields, always the same: what every
/// layer pays that adds as many.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "not every benchmark shows it")]
pub(crate) struct FiveFields;

impl Service<Request<()>> for FiveFields {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.reserve(5);
        for (name, value) in [
            ("ratelimit-policy", "\"requests\";q=9999;w=1"),
            ("ratelimit", "\"requests\";r=9998;t=1"),
            ("x-ratelimit-limit", "9999"),
            ("x-ratelimit-remaining", "9998"),
            ("x-ratelimit-reset", "1"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        ready(Ok(response))
    }
}
