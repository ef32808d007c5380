//! Who is believed.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Peer, Trust, element};

impl Trust {
    /// Whether the header is read that this peer sent. The peer's address is unwrapped.
    pub(super) fn believes(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Self::Nobody, _) => false,
            (Self::Hops(hops), _) => *hops > 0,
            (Self::Proxies { .. }, Peer::Ip(address)) => self.covers(address),
            (Self::Proxies { unix, .. }, Peer::Unix) => *unix,
        }
    }

    /// Whether this address, unwrapped, is in one of the networks.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        match self {
            Self::Proxies { networks, .. } => networks.iter().any(|&net| contains(net, address)),
            Self::Nobody | Self::Hops(_) => false,
        }
    }
}

/// Whether `address`, unwrapped, is in `network`, which may be one of wrapped addresses.
fn contains(network: IpNet, address: IpAddr) -> bool {
    match (network, address) {
        (IpNet::V4(network), IpAddr::V4(address)) => network.contains(&address),
        (IpNet::V6(network), IpAddr::V6(address)) => network.contains(&address),
        (IpNet::V4(_), IpAddr::V6(_)) => false,
        // Wrapped addresses are the last 32 bits of IPv6 ones; a wider network has others, too.
        (IpNet::V6(network), IpAddr::V4(address)) => {
            ipv4_of(network).is_some_and(|inner| inner.contains(&address))
        }
    }
}

/// The IPv4 network that a network of wrapped addresses stands for.
pub(crate) fn ipv4_of(network: Ipv6Net) -> Option<Ipv4Net> {
    let prefix = network.prefix_len().checked_sub(96)?;
    Ipv4Net::new(element::wrapped(network.addr())?, prefix).ok()
}
