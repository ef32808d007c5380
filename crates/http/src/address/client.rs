//! The client of a request.

use std::net::IpAddr;

use http::header::{FORWARDED, GetAll, HeaderMap, HeaderName, HeaderValue};

use super::{ClientAddress, NoPeer, Peer, Source, Trust, element, forwarded, x_forwarded_for};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ClientAddress {
    /// The client of a request with these `headers`, which came from `peer`.
    ///
    /// The client is the peer, unless the peer is a trusted proxy and the configured header says
    /// on whose behalf it asks. In a list, trusted addresses are passed over from the right, and
    /// the first that is not trusted is the client; if all are trusted, the leftmost is. An
    /// element that is no address (`unknown`, a name, a zone, leading zeros, a port over 65535)
    /// ends the walk: the address right of it is the client, or the peer. Ports are dropped.
    ///
    /// With [`Trust::Hops`], the client is the element that stands so many places from the right,
    /// and the peer if there is none or if it is no address. A [`Source::Single`] header counts if
    /// it is there exactly once and holds one address. A `Forwarded` header in which a quote is
    /// left open says nothing at all.
    ///
    /// Wrapped IPv4 addresses (see [`Peer`]) are unwrapped. Nothing is allocated.
    ///
    /// # Errors
    ///
    /// If the peer is not known.
    ///
    /// # Example
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use http::HeaderMap;
    /// use tollgate_http::address::{ClientAddress, Peer, Source, Trust};
    ///
    /// let address = ClientAddress {
    ///     source: Source::XForwardedFor,
    ///     trust: Trust::Proxies { networks: vec!["10.0.0.0/8".parse()?], unix: false },
    ///     ..ClientAddress::default()
    /// };
    /// let mut headers = HeaderMap::new();
    /// // The client wrote 198.51.100.1; the outer proxy appended the address that it saw.
    /// headers.insert("x-forwarded-for", "198.51.100.1, 203.0.113.7, 10.0.0.2".parse()?);
    ///
    /// let proxy: IpAddr = "10.0.0.1".parse()?;
    /// let client: IpAddr = "203.0.113.7".parse()?;
    /// assert_eq!(address.client(Some(proxy.into()), &headers)?, Peer::Ip(client));
    ///
    /// // Somebody else's header is not read.
    /// let stranger: IpAddr = "192.0.2.1".parse()?;
    /// assert_eq!(address.client(Some(stranger.into()), &headers)?, Peer::Ip(stranger));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> Result<Peer, NoPeer> {
        let peer = peer.ok_or(NoPeer)?.unwrapped();
        if matches!(self.source, Source::Peer) {
            return Ok(peer);
        }
        Ok(self.client_behind(peer, headers))
    }

    /// Whether the client is looked for in a header: the one that is read is there, and the peer that
    /// has sent it is trusted.
    pub(crate) fn reads_header(&self, peer: Peer, headers: &HeaderMap) -> bool {
        let is_there = match &self.source {
            Source::Peer => false,
            Source::XForwardedFor => headers.contains_key(&X_FORWARDED_FOR),
            Source::Forwarded => headers.contains_key(FORWARDED),
            Source::Single(name) => headers.contains_key(name),
        };
        is_there && self.trust.believes(peer.unwrapped())
    }

    /// The client on whose behalf `peer` asks, which is unwrapped.
    fn client_behind(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        if self.trust.believes(peer) { self.said_by(headers).map_or(peer, Peer::Ip) } else { peer }
    }

    /// What the header of a trusted peer says.
    fn said_by(&self, headers: &HeaderMap) -> Option<IpAddr> {
        match &self.source {
            Source::Peer => None,
            Source::XForwardedFor => {
                let lines = headers.get_all(&X_FORWARDED_FOR);
                match self.trust {
                    Trust::Hops(hops) => x_forwarded_for::from_right(&lines, hops),
                    _ => x_forwarded_for::first_stranger(&lines, &self.trust),
                }
            }
            Source::Forwarded => {
                let lines = headers.get_all(FORWARDED);
                match self.trust {
                    Trust::Hops(hops) => forwarded::from_right(&lines, hops),
                    _ => forwarded::first_stranger(&lines, &self.trust),
                }
            }
            Source::Single(name) => single(&headers.get_all(name)),
        }
    }
}

/// The address in the only line of a header that holds one.
fn single(lines: &GetAll<'_, HeaderValue>) -> Option<IpAddr> {
    let mut lines = lines.iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    element::address(line.as_bytes().trim_ascii(), element::Ports::Numbers)
}
