//! What the entries of a descriptor tell of a request.

use std::net::IpAddr;

use crate::address::Peer;
use crate::engine::facts::Facts;

/// The facts in the entries of a descriptor. Of several entries of one name, the first counts.
pub(super) fn facts<'a>(entries: &'a [(&'a str, &'a str)]) -> Facts<'a> {
    let first = |names: [&str; 2]| {
        let of = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        of(names[0]).or_else(|| of(names[1]))
    };
    let method = first(["method", ":method"]).unwrap_or_default();
    let path = first(["path", ":path"]).unwrap_or_default();
    let mut facts = Facts::new(method, path).entries(entries);
    if let Some(host) = first(["host", ":authority"]) {
        facts = facts.host(host);
    }
    if let Some(text) = first(["remote_address", "masked_remote_address"]) {
        facts.peer = address(text);
        facts.address_is_odd = facts.peer.is_none();
    }
    if let Some(user) = first(["user", "user"]) {
        facts = facts.user(user);
    }
    if let Some(key) = first(["api_key", "api_key"]) {
        facts = facts.api_key(key);
    }
    if let Some(tier) = first(["tier", "tier"]) {
        facts = facts.tier(tier);
    }
    facts
}

/// An address, or that of a network such as `192.0.2.0/24`.
fn address(text: &str) -> Option<Peer> {
    let address = text.split_once('/').map_or(text, |(address, _)| address);
    address.parse::<IpAddr>().ok().map(Peer::from)
}
