//! The client's address of a request.

use http::HeaderMap;

use super::compiled::Compiled;
use super::facts::Facts;
use super::limiter::HttpLimiter;
use crate::address::{NoPeer, Peer};

/// The client's address as `policy` finds it.
pub(super) fn client_of(policy: &Compiled, facts: &Facts<'_>) -> Result<Peer, NoPeer> {
    let rules = &policy.settings().client;
    match facts.headers {
        Some(headers) => rules.client(facts.peer, headers),
        None => rules.client(facts.peer, &HeaderMap::new()),
    }
}

impl HttpLimiter {
    /// The client's address of a request, as the policy in force finds it: that of the peer, or one
    /// that a header tells on whose word the policy relies. `None` if the peer is not known.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use tollgate_http::address::Peer;
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let limiter = HttpLimiter::new(&"version = 1".parse::<Policy>()?)?;
    /// let address: IpAddr = "203.0.113.7".parse()?;
    /// let facts = Facts::new("GET", "/").peer(address);
    /// assert_eq!(limiter.client(&facts), Some(Peer::from(address)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn client(&self, facts: &Facts<'_>) -> Option<Peer> {
        client_of(&self.current(), facts).ok()
    }

    /// Whether the policy in force looks for the client's address in a header of a request: the one
    /// that it names is there, and the policy trusts the peer that has sent it.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use tollgate_http::{Facts, HttpLimiter, Policy};
    ///
    /// let policy = "version = 1\n[client]\nheader = 'x-forwarded-for'\n\
    ///               trusted_proxies = ['10.0.0.0/8']".parse::<Policy>()?;
    /// let limiter = HttpLimiter::new(&policy)?;
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("x-forwarded-for", "203.0.113.7".parse()?);
    /// let [proxy, stranger]: [IpAddr; 2] = ["10.0.0.1".parse()?, "192.0.2.1".parse()?];
    /// let facts = Facts::new("GET", "/").headers(&headers);
    /// assert!(limiter.reads_client_of(&facts.clone().peer(proxy)));
    /// assert!(!limiter.reads_client_of(&facts.peer(stranger)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reads_client_of(&self, facts: &Facts<'_>) -> bool {
        let policy = self.current();
        let (Some(peer), Some(headers)) = (facts.peer, facts.headers) else { return false };
        policy.settings().client.reads_header(peer, headers)
    }
}
