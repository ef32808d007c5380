//! What holds for any request.

use std::net::{IpAddr, Ipv4Addr};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::select;
use tollgate_http::address::{Network, Peer, Prefixes, Source, Trust};

use super::{config, headers, naive_client, name, peer, proxies, single};

const TRUSTED: [&str; 4] = ["10.0.0.0/8", "::ffff:192.168.0.0/112", "2001:db8:ffff::/48", "unix"];

/// Pieces of headers, of which random bytes would hardly ever be made.
const PIECES: [&str; 50] = [
    ",",
    ", ",
    ";",
    "; ",
    "=",
    " ",
    "\t",
    "\"",
    "\\",
    "\\\"",
    "for",
    "for=",
    "For = ",
    "for=\"",
    "by=",
    "proto=http",
    "host=\"",
    "203.0.113.7",
    "198.51.100.9",
    "10.0.0.2",
    "10.9.9.9",
    "192.168.0.3",
    "::ffff:10.0.0.4",
    "::ffff:203.0.113.8",
    "64:ff9b::10.0.0.5",
    "2001:db8::7",
    "2001:db8:ffff::1",
    "[2001:db8::7]",
    "[2001:db8:ffff::1]",
    "[2001:db8::7]:443",
    ":80",
    ":0",
    ":65535",
    ":65536",
    ":_p",
    ":",
    "[",
    "]",
    "%1",
    "unknown",
    "_hidden",
    "0",
    "7",
    ".",
    "a",
    "ä",
    "for=203.0.113.7",
    "for=10.0.0.2",
    ", 10.0.0.2",
    ", for=10.0.0.2",
];

fn any_source() -> impl Strategy<Value = Source> {
    select(vec![Source::Peer, Source::XForwardedFor, Source::Forwarded, single("x-real-ip")])
}

fn any_trust() -> impl Strategy<Value = Trust> {
    prop_oneof![
        Just(Trust::Nobody),
        proptest::sample::subsequence(&TRUSTED[..], 0..=TRUSTED.len())
            .prop_map(|networks| proxies(&networks)),
        prop_oneof![0..6_u32, any::<u32>()].prop_map(Trust::Hops),
    ]
}

fn any_peer() -> impl Strategy<Value = Peer> {
    prop_oneof![
        select(&["10.0.0.1", "::ffff:10.0.0.1", "2001:db8:ffff::9", "203.0.113.1", "unix"][..])
            .prop_map(peer),
        any::<IpAddr>().prop_map(Peer::Ip),
    ]
}

/// A peer that is in none of the trusted networks.
fn any_stranger() -> impl Strategy<Value = Peer> {
    prop_oneof![
        select(&["11.0.0.1", "::ffff:203.0.113.1", "2001:db8::9", "::10.0.0.1", "unix"][..])
            .prop_map(peer),
        (64..128_u8, any::<[u8; 3]>())
            .prop_map(|(a, [b, c, d])| Peer::Ip(Ipv4Addr::new(a, b, c, d).into())),
    ]
}

/// Any value that a header can have.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(select(&PIECES[..]), 0..16)
            .prop_map(|pieces| pieces.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64)
            .prop_map(|bytes| bytes.into_iter().filter(|&byte| is_allowed(byte)).collect()),
    ]
}

fn is_allowed(byte: u8) -> bool {
    byte == b'\t' || (byte >= 32 && byte != 127)
}

fn any_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(any_line(), 0..4)
}

/// Any headers, of which some are named as the ones that can be configured.
fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let names = select(&["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip"][..]);
    prop::collection::vec((names, any_line()), 0..6).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, line) in pairs {
            let value = HeaderValue::from_bytes(&line).expect("allowed bytes");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    })
}

/// Lines in whose joined text each quote is closed.
fn balanced_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    any_lines().prop_map(|mut lines| {
        let mut quoted = false;
        let mut escaped = false;
        let text = lines.join(&b", "[..]);
        for byte in text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                _ => {}
            }
        }
        if quoted {
            let end = if escaped { &b"\"\""[..] } else { b"\"" };
            lines.last_mut().expect("a line with a quote").extend_from_slice(end);
        }
        lines
    })
}

/// The elements that trusted proxies have appended to what a client wrote.
fn appended(source: &Source, addresses: &[&str]) -> Vec<u8> {
    let elements: Vec<String> = addresses
        .iter()
        .map(|address| match source {
            Source::Forwarded => format!("for=\"{address}\";by=\",\""),
            _ => (*address).to_owned(),
        })
        .collect();
    elements.join(", ").into_bytes()
}

/// What a client wrote, and what proxies appended to it: to its last line, or as a new line.
fn with_appended(mut lines: Vec<Vec<u8>>, appended: Vec<u8>, new_line: bool) -> Vec<Vec<u8>> {
    match lines.last_mut() {
        Some(last) if !new_line => {
            last.extend_from_slice(b", ");
            last.extend_from_slice(&appended);
        }
        _ => lines.push(appended),
    }
    lines
}

fn check_that_nothing_on_the_left_matters(
    source: &Source,
    trust: Trust,
    written: Vec<Vec<u8>>,
    proxies: &[&str],
    new_line: bool,
) {
    let config = config(source.clone(), trust);
    let mut addresses = vec!["203.0.113.7"];
    addresses.extend(proxies);
    let lines = with_appended(written, appended(source, &addresses), new_line);
    let headers = headers(&name(source), &lines);
    assert_eq!(config.client(Some(peer("10.0.0.1")), &headers), Ok(peer("203.0.113.7")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn headers_of_a_stranger_change_nothing(
        source in any_source(),
        headers in any_headers(),
        from in any_stranger(),
    ) {
        let config = config(source, proxies(&TRUSTED[..3]));
        let plain = config.client(Some(from), &HeaderMap::new());
        prop_assert_eq!(config.client(Some(from), &headers), plain);
    }

    #[test]
    fn nothing_left_of_a_trusted_x_forwarded_for_changes_the_client(
        written in any_lines(),
        hops in prop::collection::vec(select(&["10.0.0.2", "::ffff:10.0.0.3"][..]), 0..3),
        by_hops in any::<bool>(),
        new_line in any::<bool>(),
    ) {
        let count = u32::try_from(hops.len()).expect("a small number") + 1;
        let trust = if by_hops { Trust::Hops(count) } else { proxies(&["10.0.0.0/8"]) };
        let source = Source::XForwardedFor;
        check_that_nothing_on_the_left_matters(&source, trust, written, &hops, new_line);
    }

    #[test]
    fn nothing_with_closed_quotes_left_of_a_trusted_forwarded_changes_the_client(
        written in balanced_lines(),
        hops in prop::collection::vec(select(&["10.0.0.2", "::ffff:10.0.0.3"][..]), 0..3),
        by_hops in any::<bool>(),
        new_line in any::<bool>(),
    ) {
        let count = u32::try_from(hops.len()).expect("a small number") + 1;
        let trust = if by_hops { Trust::Hops(count) } else { proxies(&["10.0.0.0/8"]) };
        let source = Source::Forwarded;
        check_that_nothing_on_the_left_matters(&source, trust, written, &hops, new_line);
    }

    #[test]
    fn any_request_has_the_client_of_the_reference(
        source in any_source(),
        trust in any_trust(),
        from in any_peer(),
        headers in any_headers(),
        prefixes in (any::<u8>(), any::<u8>()),
    ) {
        let config = config(source, trust);
        let client = config.client(Some(from), &headers).expect("a peer");
        prop_assert_eq!(client, naive_client::client(&config, from, &headers));
        let _ = Network::of(client, Prefixes { ipv4: prefixes.0, ipv6: prefixes.1 }).to_string();
    }

    #[test]
    fn any_list_has_the_client_of_the_reference(
        is_forwarded in any::<bool>(),
        trust in any_trust(),
        lines in balanced_lines(),
    ) {
        let source = if is_forwarded { Source::Forwarded } else { Source::XForwardedFor };
        let headers = headers(&name(&source), &lines);
        let config = config(source, trust);
        let client = config.client(Some(peer("10.0.0.1")), &headers).expect("a peer");
        prop_assert_eq!(client, naive_client::client(&config, peer("10.0.0.1"), &headers));
    }

    #[test]
    fn a_network_reads_back_and_holds_its_client(
        from in any_peer(),
        ipv4 in 0..=32_u8,
        ipv6 in 0..=128_u8,
    ) {
        let prefixes = Prefixes { ipv4, ipv6 };
        match Network::of(from, prefixes) {
            Network::Unix => prop_assert_eq!(from, Peer::Unix),
            Network::Ip(network) => {
                let text = Network::Ip(network).to_string();
                let whole = text.parse::<IpAddr>().map(IpNet::from);
                let read = text.parse::<IpNet>().or(whole).expect("a network or an address");
                prop_assert_eq!(read, network);
                let first = Peer::Ip(network.network());
                prop_assert_eq!(Network::of(first, prefixes), Network::Ip(network));
            }
        }
    }
}
