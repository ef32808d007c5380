//! The requests of the cases.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tollgate_http::Facts;
use tollgate_http::address::Peer;

use crate::word;

/// The peer of a case; `None` if the server does not know it.
pub(crate) fn peer(input: &Value) -> Option<Peer> {
    match input["peer"].as_str()? {
        "unix" => Some(Peer::Unix),
        address => Some(address.parse::<IpAddr>().expect("a peer").into()),
    }
}

/// The header fields of a case.
pub(crate) fn headers(input: &Value) -> HeaderMap {
    let fields = input["headers"].as_array().into_iter().flatten();
    let field = |field: &Value| {
        let name = HeaderName::from_bytes(word(&field[0]).as_bytes()).expect("a name");
        let value = HeaderValue::from_bytes(word(&field[1]).as_bytes()).expect("a value");
        (name, value)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.map(field) {
        headers.append(name, value);
    }
    headers
}

/// What is known of the request of a case.
pub(crate) fn facts<'a>(input: &'a Value, headers: &'a HeaderMap) -> Facts<'a> {
    let mut facts = Facts::new(word(&input["method"]), word(&input["path"])).headers(headers);
    if let Some(peer) = peer(input) {
        facts = facts.peer(peer);
    }
    if let Some(host) = input["host"].as_str() {
        facts = facts.host(host);
    }
    if let Some(user) = input["user"].as_str() {
        facts = facts.user(user);
    }
    if let Some(key) = input["api_key"].as_str() {
        facts = facts.api_key(key);
    }
    if let Some(tier) = input["tier"].as_str() {
        facts = facts.tier(tier);
    }
    facts
}
