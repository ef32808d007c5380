//! The address of a client, as other programs write it.

use std::net::{IpAddr, SocketAddr};

use tollgate_http::address::Peer;

/// The peer that a text names: `203.0.113.7`, `203.0.113.7:443`, `2001:db8::1`, `[2001:db8::1]:443`
/// or `unix`.
///
/// # Errors
///
/// A message, if the text is none of these.
pub(crate) fn parse(text: &str) -> Result<Peer, String> {
    if text == "unix" {
        return Ok(Peer::Unix);
    }
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    let address: IpAddr = text.parse().or_else(|_| with_port()).map_err(|_| {
        "`address` is not an address: write `203.0.113.7`, `2001:db8::1` or `unix`".to_owned()
    })?;
    Ok(address.into())
}
