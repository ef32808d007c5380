//! An address as proxies write it: with or without port and brackets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

/// Which ports may stand behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ports {
    /// Numbers up to 65535.
    Numbers,
    /// Also names that hide the number, such as `_p` (RFC 7239 section 6.3).
    NumbersAndNames,
}

/// The address in `text`, unwrapped, or `None` if `text` is anything but one address.
///
/// The forms are `203.0.113.7`, `203.0.113.7:80`, `2001:db8::1`, `[2001:db8::1]` and
/// `[2001:db8::1]:80`. IPv6 without brackets is read whole: `2001:db8::1:80` has no port.
pub(super) fn address(text: &[u8], ports: Ports) -> Option<IpAddr> {
    let (address, rest) = if let Some(bracketed) = text.strip_prefix(b"[") {
        let end = bracketed.iter().position(|&byte| byte == b']')?;
        let (address, rest) = bracketed.split_at(end);
        (ipv6(address)?, rest.strip_prefix(b"]")?)
    } else if let Some((address, rest)) = ipv4(text) {
        (address.into(), rest)
    } else {
        (ipv6(text)?, &[][..])
    };
    (rest.is_empty() || is_port(rest.strip_prefix(b":")?, ports)).then_some(address)
}

/// The IPv4 address at the beginning of `text`, without leading zeros, and what follows it.
///
/// It is read as std reads it, whose parser takes a `str`, and only one that ends there.
fn ipv4(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut rest = text;
    let mut octets = [0; 4];
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (&first, after) = rest.split_first()?;
        let mut value = digit(first)?;
        rest = after;
        while value > 0
            && let Some((&next, after)) = rest.split_first()
            && let Some(digit) = digit(next)
        {
            value = value.checked_mul(10)?.checked_add(digit)?;
            rest = after;
        }
        *octet = value;
    }
    Some((octets.into(), rest))
}

fn digit(byte: u8) -> Option<u8> {
    byte.checked_sub(b'0').filter(|&digit| digit < 10)
}

/// The IPv6 address that is all of `text`, unwrapped.
fn ipv6(text: &[u8]) -> Option<IpAddr> {
    let address: Ipv6Addr = str::from_utf8(text).ok()?.parse().ok()?;
    Some(unwrapped(address.into()))
}

/// `node-port` of RFC 7239 section 6.
fn is_port(text: &[u8], ports: Ports) -> bool {
    if let Some(name) = text.strip_prefix(b"_") {
        let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        return ports == Ports::NumbersAndNames && !name.is_empty() && name.iter().all(is_in_name);
    }
    if !(1..=5).contains(&text.len()) {
        return false;
    }
    let add = |number: u32, &byte: &u8| Some(number * 10 + u32::from(digit(byte)?));
    text.iter().try_fold(0, add).is_some_and(|number| number <= 65535)
}

/// The address, as IPv4 if it only wraps an IPv4 address.
#[inline]
pub(super) fn unwrapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => wrapped(v6).map_or(address, IpAddr::V4),
    }
}

/// The IPv4 address in a mapped one (RFC 4291 section 2.5.5.2) or a translated one (RFC 6052
/// section 2.1).
pub(super) fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const MAPPED: u128 = 0xffff;
    const TRANSLATED: u128 = 0x0064_ff9b << 64;
    let prefix = address.to_bits() >> 32;
    if prefix == MAPPED || prefix == TRANSLATED {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, ports: Ports, expected: Option<&str>) {
        let expected = expected.map(|text| text.parse::<IpAddr>().expect("an address"));
        assert_eq!(address(text.as_bytes(), ports), expected, "{text}");
    }

    #[test]
    fn an_address_is_read_with_and_without_port_and_brackets() {
        for (text, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:0", "203.0.113.7"),
            ("203.0.113.7:65535", "203.0.113.7"),
            ("203.0.113.7:00080", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8::A", "2001:db8::a"),
            ("2001:0db8:0:0:0:0:0:0001", "2001:db8::1"),
            ("2001:db8::1:80", "2001:db8::1:80"),
            ("2001:db8::203.0.113.7", "2001:db8::cb00:7107"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("::", "::"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:cb00:7107", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:80", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
            // Neither the old form of wrapped addresses nor a local translator's network.
            ("::203.0.113.7", "::cb00:7107"),
            ("64:ff9b:1::203.0.113.7", "64:ff9b:1::cb00:7107"),
        ] {
            check(text, Ports::Numbers, Some(expected));
            check(text, Ports::NumbersAndNames, Some(expected));
        }
    }

    #[test]
    fn anything_else_is_no_address() {
        for text in [
            "",
            " ",
            "unknown",
            "_hidden",
            "localhost",
            "unix:",
            "unix:/run/a.sock",
            "-",
            "203.0.113",
            "203.0.113.7.1",
            "203.0.113.07",
            "0203.0.113.7",
            "0xcb.0.113.7",
            "3405803783",
            "203.0.113.256",
            "203.0.113.1000",
            "203.0.113.00",
            "00.0.113.7",
            "203..113.7",
            ".0.113.7",
            "203.0.113.",
            "203.0.113.7.",
            "203.0.113.7a",
            "203.0.113.:",
            "203.0.113.7/",
            " 203.0.113.7",
            "203.0.113.7 ",
            "203.0.113.7/32",
            "203.0.113.7:",
            "203.0.113.7:65536",
            "203.0.113.7:99999",
            "203.0.113.7:000080",
            "203.0.113.7:99999999999999999999",
            "203.0.113.7:65616",
            "203.0.113.7:+80",
            "203.0.113.7:-1",
            "203.0.113.7:http",
            "203.0.113.7:80:80",
            "203.0.113.7:8 0",
            "\"203.0.113.7\"",
            "[203.0.113.7]",
            "[203.0.113.7]:80",
            "fe80::1%eth0",
            "[fe80::1%1]",
            "[fe80::1%25eth0]:80",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "[2001:db8::1]:65536",
            "[2001:db8::1] :80",
            "[[2001:db8::1]]",
            "[]",
            "[]:80",
            "[",
            "]",
            ":",
            ":80",
            ":::",
            "2001:db8::1::2",
            "2001:db8:::1",
            "12001:db8::1",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7",
            "203.0.113.７",
            "[::ffff:203.0.113.07]",
        ] {
            check(text, Ports::Numbers, None);
            check(text, Ports::NumbersAndNames, None);
        }
        assert_eq!(address(b"203.0.113.7\xff", Ports::Numbers), None);
    }

    #[test]
    fn a_hidden_port_is_one_only_where_names_are_ports() {
        for text in ["203.0.113.7:_p", "203.0.113.7:_a.B-9_", "[2001:db8::1]:_p"] {
            check(text, Ports::Numbers, None);
            assert!(address(text.as_bytes(), Ports::NumbersAndNames).is_some(), "{text}");
        }
        for text in ["203.0.113.7:_", "203.0.113.7:p", "203.0.113.7:_p!", "203.0.113.7:_ä"] {
            check(text, Ports::NumbersAndNames, None);
        }
    }
}
