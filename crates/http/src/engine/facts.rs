//! What is known of a request.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use super::caller::Caller;
use super::key::Hashed;
use crate::address::Peer;

/// What is known of a request: everything that a decision depends on.
///
/// ```
/// use std::net::IpAddr;
/// use tollgate_http::Facts;
/// let address: IpAddr = "203.0.113.7".parse()?;
/// let facts = Facts::new("GET", "/v1/items").peer(address).user("alice");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone)]
pub struct Facts<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) host: Option<&'a str>,
    pub(crate) peer: Option<Peer>,
    /// Whether an address was said that is none, and so the peer is not known.
    pub(crate) address_is_odd: bool,
    pub(crate) headers: Option<&'a HeaderMap>,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) api_key: Option<&'a str>,
    pub(crate) api_key_hash: Option<Hashed>,
    pub(crate) tier: Option<&'a str>,
    pub(crate) template: Option<&'a str>,
    pub(crate) entries: &'a [(&'a str, &'a str)],
}

impl<'a> Facts<'a> {
    /// A request of `method` for `path`. The path is as the client sent it: percent-encoded. A
    /// query is left out.
    #[must_use]
    pub fn new(method: &'a str, path: &'a str) -> Self {
        Self::of_path(method, path.split(['?', '#']).next().unwrap_or_default())
    }

    /// A request for a path without a query.
    pub(crate) fn of_path(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            host: None,
            peer: None,
            address_is_odd: false,
            headers: None,
            user: None,
            api_key: None,
            api_key_hash: None,
            tier: None,
            template: None,
            entries: &[],
        }
    }

    /// The host that the request names, if it is not in a `Host` header: that of the URI.
    #[must_use]
    pub fn host(mut self, host: &'a str) -> Self {
        self.host = Some(host);
        self
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(mut self, peer: impl Into<Peer>) -> Self {
        self.peer = Some(peer.into());
        self
    }

    /// The headers. Only those are read that the policy names, `Host`, and those of a CORS
    /// preflight.
    #[must_use]
    pub fn headers(mut self, headers: &'a HeaderMap) -> Self {
        self.headers = Some(headers);
        self
    }

    /// The user, whom the application has authenticated. An empty name is none.
    #[must_use]
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into()).filter(|user| !user.is_empty());
        self
    }

    /// The API key. It is kept only as a keyed hash. An empty key is none.
    #[must_use]
    pub fn api_key(mut self, key: &'a str) -> Self {
        self.api_key = Some(key).filter(|key| !key.is_empty());
        self
    }

    /// The API key, by the keyed hash that stands for it in this limiter: for a status page, which
    /// does not know the key. Subjects of the policy are not found by it.
    #[must_use]
    pub fn api_key_hash(mut self, hash: Hashed) -> Self {
        self.api_key_hash = Some(hash);
        self
    }

    /// Everything that the application knows of the caller.
    ///
    /// ```
    /// use tollgate_http::{Caller, Facts};
    /// let caller = Caller::user("alice").in_tier("premium");
    /// let facts = Facts::new("GET", "/v1/items").caller(&caller);
    /// ```
    #[must_use]
    pub fn caller(mut self, caller: &'a Caller) -> Self {
        self.user = caller.user_name().filter(|user| !user.is_empty()).cloned();
        self.api_key = caller.key().filter(|key| !key.is_empty());
        self.tier = caller.tier_name();
        self
    }

    /// The tier that the application gives the caller. A tier that the policy does not know is
    /// ignored.
    #[must_use]
    pub fn tier(mut self, tier: &'a str) -> Self {
        self.tier = Some(tier);
        self
    }

    /// The template of the path that the router has matched, such as `/items/{id}`: routes of the
    /// policy are then compared with the template, and not with the path.
    #[must_use]
    pub fn template(mut self, template: &'a str) -> Self {
        self.template = Some(template);
        self
    }

    /// The entries of a descriptor, for keys with `entry:NAME`.
    #[must_use]
    pub fn entries(mut self, entries: &'a [(&'a str, &'a str)]) -> Self {
        self.entries = entries;
        self
    }

    /// The values of the entries of this name.
    pub(crate) fn entry(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(move |(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// The only value of a header; `None` if it is missing, empty or given twice (rule P2).
    pub(crate) fn header(&self, name: &http::HeaderName) -> Option<&'a [u8]> {
        let mut values = self.headers?.get_all(name).iter();
        let value = values.next()?.as_bytes().trim_ascii();
        (!value.is_empty() && values.next().is_none()).then_some(value)
    }
}

/// The user, the API key and the values of headers and entries are not shown.
impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self.headers.map(|headers| headers.keys().collect::<Vec<_>>());
        f.debug_struct("Facts")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("host", &self.host)
            .field("peer", &self.peer)
            .field("headers", &headers)
            .field("user", &self.user.as_ref().map(|_| "..."))
            .field("api_key", &self.api_key.map(|_| "..."))
            .field("tier", &self.tier)
            .field("template", &self.template)
            .field("entries", &self.entries.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .finish()
    }
}
