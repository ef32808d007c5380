//! The network by which a client is counted.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Peer;

/// How many bits of an address make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefixes {
    /// Of IPv4: 8 to 32.
    pub ipv4: u8,
    /// Of IPv6: 32 to 128.
    pub ipv6: u8,
}

impl Default for Prefixes {
    /// The whole IPv4 address, and 64 bits of IPv6: what one subscriber gets at least.
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

/// The network of a client, by which it is counted: an address cut to a prefix.
///
/// An IPv6 subscriber holds 2⁶⁴ addresses or more, so counting each would count nobody.
/// Its text is that of RFC 5952, with `/` and the prefix unless that is the whole address.
///
/// ```
/// use std::net::IpAddr;
/// use tollgate_http::address::{Network, Prefixes};
///
/// let client: IpAddr = "2001:db8:1:2:3:4:5:6".parse()?;
/// let network = Network::of(client.into(), Prefixes::default());
/// assert_eq!(network.to_string(), "2001:db8:1:2::/64");
///
/// let client: IpAddr = "203.0.113.7".parse()?;
/// assert_eq!(Network::of(client.into(), Prefixes::default()).to_string(), "203.0.113.7");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Of an address.
    Ip(IpNet),
    /// All clients on Unix sockets.
    Unix,
}

impl Network {
    /// The network of `client`.
    ///
    /// The IPv6 prefix is only for addresses that are IPv6 after unwrapping (see [`Peer`]). A
    /// prefix longer than the address is the whole address.
    #[must_use]
    pub fn of(client: Peer, prefixes: Prefixes) -> Self {
        match client.unwrapped() {
            Peer::Unix => Self::Unix,
            Peer::Ip(IpAddr::V4(address)) => Self::Ip(IpNet::V4(
                Ipv4Net::new(address, prefixes.ipv4).unwrap_or(address.into()).trunc(),
            )),
            Peer::Ip(IpAddr::V6(address)) => Self::Ip(IpNet::V6(
                Ipv6Net::new(address, prefixes.ipv6).unwrap_or(address.into()).trunc(),
            )),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.pad("unix"),
            Self::Ip(network) if network.prefix_len() == network.max_prefix_len() => {
                network.addr().fmt(f)
            }
            Self::Ip(network) => network.fmt(f),
        }
    }
}
