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
    let text = str::from_utf8(text).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        let has_no_port = rest.is_empty();
        return (has_no_port || is_port(rest.strip_prefix(':')?, ports))
            .then(|| unwrapped(address.into()));
    }
    let Some(colon) = text.bytes().position(|byte| byte == b':') else {
        return text.parse().ok().map(IpAddr::V4);
    };
    let (address, rest) = text.split_at(colon);
    match address.parse::<Ipv4Addr>() {
        Ok(address) => is_port(rest.strip_prefix(':')?, ports).then_some(address.into()),
        Err(_) => text.parse::<Ipv6Addr>().ok().map(|address| unwrapped(address.into())),
    }
}

/// `node-port` of RFC 7239 section 6.
fn is_port(text: &str, ports: Ports) -> bool {
    if let Some(name) = text.strip_prefix('_') {
        let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        return ports == Ports::NumbersAndNames && !name.is_empty() && name.bytes().all(is_in_name);
    }
    // `parse` takes a plus sign, and zeros without end before the number.
    (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u16>().is_ok()
}

/// The address, as IPv4 if it only wraps an IPv4 address.
pub(super) fn unwrapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => wrapped(v6).map_or(address, IpAddr::V4),
    }
}

/// The IPv4 address in a mapped one (RFC 4291 section 2.5.5.2) or a translated one (RFC 6052
/// section 2.1).
pub(super) fn wrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    if prefix == [0, 0, 0, 0, 0, 0xffff] || prefix == [0x64, 0xff9b, 0, 0, 0, 0] {
        return Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
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
            " 203.0.113.7",
            "203.0.113.7 ",
            "203.0.113.7/32",
            "203.0.113.7:",
            "203.0.113.7:65536",
            "203.0.113.7:99999",
            "203.0.113.7:000080",
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
