//! Who asked: the address in a client field, whatever else the field holds.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use tollgate_http::address::Peer;

use super::Skipped;

/// How an address is taken from a client field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Which address of a list such as `X-Forwarded-For` is the client.
    pub forwarded: Forwarded,
}

/// A client as a log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Client<'a> {
    /// By its address. IPv4 addresses that are written as IPv6 are IPv4.
    Peer(Peer),
    /// By the name of its host, which a server has looked up.
    Name(Cow<'a, [u8]>),
}

impl Client<'_> {
    /// The same, with memory of its own.
    pub(super) fn into_owned(self) -> Client<'static> {
        match self {
            Self::Peer(peer) => Client::Peer(peer),
            Self::Name(name) => Client::Name(Cow::Owned(name.into_owned())),
        }
    }
}

/// Which address of a list counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// The one at this place, from 0: the first is the one that the client's side wrote.
    FromStart(usize),
    /// The one at this place from the end, from 0: the last is the one that the nearest proxy
    /// wrote.
    FromEnd(usize),
}

impl Default for Forwarded {
    fn default() -> Self {
        Self::FromStart(0)
    }
}

impl Addresses {
    /// The client in `field`.
    ///
    /// Ports and zones are dropped. What is no address is a host name, and stays as it is.
    ///
    /// # Errors
    ///
    /// If the field names nobody.
    pub fn client(self, field: &[u8]) -> Result<Client<'_>, Skipped> {
        if let Some(address) = ipv4(field) {
            return Ok(Client::Peer(address.into()));
        }
        let entry = self.entry(field).ok_or(Skipped::NoClient)?;
        if entry.is_empty() || entry == b"-" || entry.eq_ignore_ascii_case(b"unknown") {
            return Err(Skipped::NoClient);
        }
        Ok(match parse(entry) {
            Some(address) => Client::Peer(address.into()),
            None if entry == b"unix" || entry.starts_with(b"unix:") => Client::Peer(Peer::Unix),
            None => Client::Name(without_port(entry).into()),
        })
    }

    /// The entry of a list that counts.
    fn entry(self, field: &[u8]) -> Option<&[u8]> {
        let mut entries = field.split(|&byte| byte == b',');
        let entry = match self.forwarded {
            // What is no list has one entry, whichever is asked for.
            _ if !field.contains(&b',') => entries.next(),
            Forwarded::FromStart(at) => entries.nth(at),
            Forwarded::FromEnd(at) => entries.nth_back(at),
        };
        entry.map(bare)
    }
}

/// Whether `field` holds an address, or a list that starts with one.
pub(super) fn is_address(field: &[u8]) -> bool {
    is_ipv4(field)
        || field
            .split(|&byte| byte == b',')
            .next()
            .is_some_and(|entry| parse(bare(entry)).is_some())
}

/// Whether `field` is an address with a port.
pub(super) fn has_port(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| text.parse::<SocketAddr>().is_ok())
}

/// Whether `field` is an address with the port of a web server, as a virtual host may be.
pub(super) fn is_server(field: &[u8]) -> bool {
    let ports: [&[u8]; 4] = [b":80", b":443", b":8080", b":8443"];
    ports.iter().any(|port| field.ends_with(port)) && has_port(field)
}

/// Whether `text` is four numbers up to 255 with points between them, and nothing else.
pub(super) fn is_ipv4(text: &[u8]) -> bool {
    ipv4(text).is_some()
}

/// The address in four numbers up to 255 with points between them, and nothing else.
fn ipv4(text: &[u8]) -> Option<IpAddr> {
    let (mut points, mut digits, mut value, mut address) = (0, 0, 0_u32, 0_u32);
    for &byte in text {
        if byte == b'.' && digits > 0 && points < 3 {
            address = address << 8 | value;
            (points, digits, value) = (points + 1, 0, 0);
        } else if byte.is_ascii_digit() && digits < 3 {
            (digits, value) = (digits + 1, value * 10 + u32::from(byte - b'0'));
            if value > 255 {
                return None;
            }
        } else {
            return None;
        }
    }
    (points == 3 && digits > 0).then(|| IpAddr::V4((address << 8 | value).into()))
}

/// The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`,
/// with or without a zone such as `%eth0`.
fn parse(text: &[u8]) -> Option<IpAddr> {
    if let Some(address) = ipv4(text) {
        return Some(address);
    }
    // Most fields that are no address end here: all other forms of one have a colon.
    memchr::memchr(b':', text)?;
    let text = std::str::from_utf8(text).ok()?;
    let plain = || {
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        text.parse::<IpAddr>().ok()
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    plain().or_else(with_port)
}

/// An entry of a list without blanks, quotes, and what a `Forwarded` header writes around it.
fn bare(entry: &[u8]) -> &[u8] {
    let trim = |text: &'_ [u8]| -> (usize, usize) {
        let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'"' || *byte == b'\\';
        let start = text.iter().take_while(|byte| blank(byte)).count();
        let end = text.iter().rev().take_while(|byte| blank(byte)).count();
        (start, text.len().saturating_sub(end).max(start))
    };
    let (start, end) = trim(entry);
    let entry = &entry[start..end];
    let Some((start, value)) = entry.split_at_checked(4) else { return entry };
    if !start.eq_ignore_ascii_case(b"for=") {
        return entry;
    }
    let value = value.split(|&byte| byte == b';').next().unwrap_or(value);
    let (start, end) = trim(value);
    &value[start..end]
}

/// A host name without `:80`.
fn without_port(name: &[u8]) -> &[u8] {
    match name.iter().position(|&byte| byte == b':') {
        Some(at) if at > 0 && at + 1 < name.len() => {
            let port = &name[at + 1..];
            if port.iter().all(u8::is_ascii_digit) { &name[..at] } else { name }
        }
        _ => name,
    }
}
