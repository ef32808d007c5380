//! Which limit a request belongs to, and what an answer says: the only things that the layer must
//! know of the types of an HTTP client.

use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Request, Response, StatusCode};

/// Says which limit a request belongs to. [`ByHost`] is the one for `http::Request`, and
/// [`WaitLayerBuilder::key`](super::WaitLayerBuilder::key) makes one of a closure.
pub trait RequestKey<R> {
    /// The key of a request. Requests with the same key wait in one queue, share one quota, and
    /// are paused together.
    fn key(&self, request: &R) -> Arc<str>;
}

/// Reads an answer. [`HttpResponse`] is the one for `http::Response`, and
/// [`WaitLayerBuilder::answer`](super::WaitLayerBuilder::answer) makes one of a closure.
pub trait ReadAnswer<A> {
    /// The status and the header fields of an answer.
    fn read<'a>(&self, answer: &'a A) -> (StatusCode, &'a HeaderMap);
}

/// The key is the host and port that an `http::Request` goes to, written as [`host_key`] does.
///
/// The host is that of the request's URI, or of its `Host` header if the URI has none. All requests
/// with neither share the empty key.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByHost;

impl<B> RequestKey<Request<B>> for ByHost {
    fn key(&self, request: &Request<B>) -> Arc<str> {
        if let Some(host) = request.uri().host() {
            return host_key(host, request.uri().port_u16()).into();
        }
        let header = request.headers().get(HOST).map(|value| Authority::try_from(value.as_bytes()));
        match header {
            Some(Ok(host)) => host_key(host.host(), host.port_u16()).into(),
            _ => "".into(),
        }
    }
}

/// Status and header fields of an `http::Response`.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpResponse;

impl<B> ReadAnswer<Response<B>> for HttpResponse {
    fn read<'a>(&self, answer: &'a Response<B>) -> (StatusCode, &'a HeaderMap) {
        (answer.status(), answer.headers())
    }
}

/// A [`RequestKey`] or a [`ReadAnswer`] that calls a closure.
#[derive(Clone, Copy, Debug)]
pub struct ByClosure<F>(pub(super) F);

impl<R, F: Fn(&R) -> String> RequestKey<R> for ByClosure<F> {
    fn key(&self, request: &R) -> Arc<str> {
        (self.0)(request).into()
    }
}

impl<A, F: Fn(&A) -> (StatusCode, &HeaderMap)> ReadAnswer<A> for ByClosure<F> {
    fn read<'a>(&self, answer: &'a A) -> (StatusCode, &'a HeaderMap) {
        (self.0)(answer)
    }
}

/// A host and its port as a key: in lower case, without a final dot, and without the ports 80 and
/// 443. So `http` and `https` of one host are one key.
///
/// ```
/// use tollgate_http::client::host_key;
/// assert_eq!(host_key("Example.COM.", Some(443)), "example.com");
/// assert_eq!(host_key("[::1]", Some(8080)), "[::1]:8080");
/// ```
#[must_use]
pub fn host_key(host: &str, port: Option<u16>) -> String {
    let mut key = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if let Some(port) = port.filter(|port| !matches!(port, 80 | 443)) {
        key.push(':');
        key.push_str(&port.to_string());
    }
    key
}

/// The key of a host that a program names, such as `Example.com` or `localhost:8080`.
pub(super) fn named_host_key(name: &str) -> String {
    match name.parse::<Authority>() {
        Ok(authority) => host_key(authority.host(), authority.port_u16()),
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uri: &str, host: Option<&str>) -> String {
        let mut request = Request::builder().uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        ByHost.key(&request.body(()).expect("a valid request")).to_string()
    }

    #[test]
    fn the_host_of_a_request() {
        assert_eq!(key("https://API.example.com/x", None), "api.example.com");
        assert_eq!(key("http://example.com:80/", Some("other.test")), "example.com");
        assert_eq!(key("http://user@example.com:8080/", None), "example.com:8080");
        assert_eq!(key("http://[2001:DB8::1]:81/", None), "[2001:db8::1]:81");
        assert_eq!(key("/path", Some("Example.com.:443")), "example.com");
        assert_eq!(key("/path", Some("no host at all")), "");
        assert_eq!(key("/path", None), "");
    }

    #[test]
    fn a_host_that_a_program_names_is_the_same_key() {
        assert_eq!(named_host_key("API.example.com:443"), "api.example.com");
        assert_eq!(named_host_key("127.0.0.1:8080"), "127.0.0.1:8080");
        assert_eq!(named_host_key("not a host"), "not a host");
    }
}
