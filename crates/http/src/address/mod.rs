//! Who the client is: its address, from the connection's peer and at most one header.
//!
//! A proxy in front of a service is the peer of each connection, and says in a header whose
//! request it forwards. Clients can write the same header, so a header is only believed as far as
//! trusted proxies have written it: [`ClientAddress`] holds whom to trust, and
//! [`ClientAddress::client`] reads the header from its right end, where the nearest proxy wrote.
//! What a client writes into it can never change who the client is.

mod client;
mod element;
mod forwarded;
mod network;
mod trust;

pub(crate) use trust::ipv4_of;
mod x_forwarded_for;

use std::net::{IpAddr, SocketAddr};

use http::header::HeaderName;
use ipnet::IpNet;

pub use network::{Network, Prefixes};

/// The other end of a connection.
///
/// `From` makes it from an address of std, as [`ClientAddress::client`] wants it: without port and
/// zone, and as IPv4 where an IPv6 address only wraps an IPv4 one: mapped addresses
/// (`::ffff:0:0/96`, RFC 4291 section 2.5.5.2), which a socket for both families shows, and those
/// behind a translator (`64:ff9b::/96`, RFC 6052 section 2.1).
///
/// ```
/// use std::net::IpAddr;
/// use tollgate_http::address::Peer;
///
/// let mapped: IpAddr = "::ffff:203.0.113.7".parse()?;
/// assert_eq!(Peer::from(mapped), Peer::Ip("203.0.113.7".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// An address of the Internet.
    Ip(IpAddr),
    /// A Unix socket, which has no address.
    Unix,
}

impl Peer {
    /// The same peer, with its address as IPv4 where it wraps one.
    #[inline]
    fn unwrapped(self) -> Self {
        match self {
            Self::Ip(address @ IpAddr::V6(_)) => Self::Ip(element::unwrapped(address)),
            Self::Ip(IpAddr::V4(_)) | Self::Unix => self,
        }
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address).unwrapped()
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

/// Which header says the client's address.
///
/// Only this one is ever read: proxies set one header and pass on the others as the client wrote
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// None: the client is the peer.
    #[default]
    Peer,
    /// `X-Forwarded-For`: a list of addresses, to which each proxy appends the one that it serves.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the same list, of which each element has named parameters.
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
        /// The networks. An address that is IPv4 after unwrapping (see [`Peer`]) is in an IPv4
        /// network, or in an IPv6 network that consists of wrapped addresses only.
        networks: Vec<IpNet>,
        /// Whether peers on a Unix socket are believed.
        unix: bool,
    },
    /// So many proxies, whatever their addresses: the client is the element that the outermost of
    /// them has written. 0 trusts nobody. The service must not be reachable past the proxies.
    Hops(u32),
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
///
/// That is a mistake in how the server is set up, not one of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of the peer is not known")]
pub struct NoPeer;
