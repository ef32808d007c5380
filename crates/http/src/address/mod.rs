//! Who the client is: its address, from the connection's peer and at most one header.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address of the Internet.
    Ip(IpAddr),
    /// A Unix socket, which has no address.
    Unix,
}

/// Which header says the client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// None: the client is the peer.
    #[default]
    Peer,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// A header that holds one address, such as `X-Real-IP`.
    Single(HeaderName),
}

/// Which peers and hops are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Nobody.
    #[default]
    Nobody,
    /// The proxies in these networks, and Unix sockets if `unix`.
    Proxies {
        /// The networks.
        networks: Vec<IpNet>,
        /// Whether peers on a Unix socket are believed.
        unix: bool,
    },
    /// So many proxies, whatever their addresses.
    Hops(u32),
}

/// How many bits of an address make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefixes {
    /// Of IPv4: 8 to 32.
    pub ipv4: u8,
    /// Of IPv6: 32 to 128.
    pub ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

/// How the client's address is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAddress {
    /// Which header says it.
    pub source: Source,
    /// Who is believed.
    pub trust: Trust,
    /// How many bits of it make a key, unless a limit says otherwise.
    pub prefixes: Prefixes,
}

/// The connection's peer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of the peer is not known")]
pub struct NoPeer;

impl ClientAddress {
    /// The client of a request (for the helper that builds `address/`: rules A1 to A9).
    ///
    /// # Errors
    ///
    /// If the peer is not known.
    pub fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> Result<Peer, NoPeer> {
        let _ = headers;
        peer.ok_or(NoPeer)
    }
}

/// The network of a client, by which it is counted (rule A10): an address cut to a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// Of an address.
    Ip(IpNet),
    /// All clients on Unix sockets.
    Unix,
}

impl Network {
    /// The network of `client`.
    #[must_use]
    pub fn of(client: Peer, prefixes: Prefixes) -> Self {
        let _ = (client, prefixes);
        Self::Unix
    }
}
