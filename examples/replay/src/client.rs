//! Who asked: the address in a client field, whatever else the field holds.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::parse::Skipped;

/// How an address is taken from a client field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Which address of a list such as `X-Forwarded-For` is the client.
    pub forwarded: Forwarded,
    /// IPv6 clients are told apart by this many bits of their address.
    pub ipv6_prefix: u8,
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

impl Default for Addresses {
    fn default() -> Self {
        Self { forwarded: Forwarded::FromStart(0), ipv6_prefix: 64 }
    }
}

impl Addresses {
    /// The name under which the client in `field` is counted.
    ///
    /// Ports are dropped, IPv6 addresses are cut to the prefix, IPv4 addresses that are written as
    /// IPv6 become IPv4. What is no address is a host name, and stays as it is.
    pub fn client(self, field: &[u8]) -> Result<Cow<'_, [u8]>, Skipped> {
        if is_ipv4(field) {
            return Ok(field.into());
        }
        let entry = self.entry(field).ok_or(Skipped::NoClient)?;
        if entry.is_empty() || entry == b"-" || entry.eq_ignore_ascii_case(b"unknown") {
            return Err(Skipped::NoClient);
        }
        match parse(entry) {
            Some(IpAddr::V4(address)) if !is_ipv4(entry) => {
                Ok(address.to_string().into_bytes().into())
            }
            Some(IpAddr::V6(address)) => Ok(self.network(address).into_bytes().into()),
            Some(IpAddr::V4(_)) => Ok(entry.into()),
            None => Ok(without_port(entry).into()),
        }
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

    fn network(self, address: Ipv6Addr) -> String {
        if self.ipv6_prefix >= 128 || address.is_loopback() {
            return address.to_string();
        }
        let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6_prefix)).unwrap_or(0);
        format!("{}/{}", Ipv6Addr::from_bits(address.to_bits() & mask), self.ipv6_prefix)
    }
}

/// Whether `field` holds an address, or a list that starts with one.
pub fn is_address(field: &[u8]) -> bool {
    is_ipv4(field)
        || field
            .split(|&byte| byte == b',')
            .next()
            .is_some_and(|entry| parse(bare(entry)).is_some())
}

/// Whether `field` is an address with a port.
pub fn has_port(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| text.parse::<SocketAddr>().is_ok())
}

/// Whether `field` is an address with the port of a web server, as a virtual host may be.
pub fn is_server(field: &[u8]) -> bool {
    let ports: [&[u8]; 4] = [b":80", b":443", b":8080", b":8443"];
    ports.iter().any(|port| field.ends_with(port)) && has_port(field)
}

/// Whether `text` is four numbers up to 255 with points between them, and nothing else.
pub fn is_ipv4(text: &[u8]) -> bool {
    let (mut points, mut digits, mut value) = (0, 0, 0_u32);
    for &byte in text {
        if byte == b'.' && digits > 0 {
            (points, digits, value) = (points + 1, 0, 0);
        } else if byte.is_ascii_digit() && digits < 3 {
            (digits, value) = (digits + 1, value * 10 + u32::from(byte - b'0'));
            if value > 255 {
                return false;
            }
        } else {
            return false;
        }
    }
    points == 3 && digits > 0
}

/// The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`,
/// with or without a zone such as `%eth0`.
fn parse(text: &[u8]) -> Option<IpAddr> {
    // Most fields that are no address end here: all other forms of one have a colon.
    if !is_ipv4(text) && memchr::memchr(b':', text).is_none() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let plain = || {
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        text.parse::<IpAddr>().ok()
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    Some(match plain().or_else(with_port)? {
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4),
        address @ IpAddr::V4(_) => address,
    })
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
