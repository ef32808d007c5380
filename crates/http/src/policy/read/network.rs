//! Reading addresses and networks.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::address::ipv4_of;
use crate::policy::code::Code;
use crate::policy::message::shown;

/// A network: an address, or an address and the length of its prefix. IPv4 addresses that are
/// written as IPv6 become IPv4, as those of clients do (rule A1).
pub(super) fn network(text: &str) -> Result<IpNet, (Code, String)> {
    let bad = |why: &str| {
        let text = shown(text);
        let form = "write an address or a network, such as `203.0.113.7` or `10.0.0.0/8`";
        Err((Code::BadAddress, format!("{text} is not an address or a network{why}: {form}")))
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return bad(if text.contains('%') { ", it has a zone" } else { "" });
    };
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => longest,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            match digits.parse::<u8>() {
                Ok(prefix) if prefix <= longest => prefix,
                _ => return bad(&format!(", its prefix is at most {longest} bits")),
            }
        }
        Some(_) => return bad(", its prefix is not a number of bits"),
    };
    let Ok(network) = IpNet::new(address, prefix) else { return bad("") };
    if network.trunc() != network {
        let message = format!(
            "{} has bits behind its prefix: write the network `{}` or the address `{address}`",
            shown(text),
            network.trunc()
        );
        return Err((Code::HostBits, message));
    }
    Ok(as_ipv4(network))
}

/// The network, as one of IPv4 if its addresses only wrap such.
fn as_ipv4(network: IpNet) -> IpNet {
    match network {
        IpNet::V6(v6) => ipv4_of(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}
