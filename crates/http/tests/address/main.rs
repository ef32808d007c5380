//! Who the client of a request is. The rules have numbers, A1 to A10, and each has its tests:
//! those about peers and keys in `peers.rs`, those about headers in `lists.rs` and
//! `forwarded_text.rs`.

mod allocations;
mod forwarded_text;
mod lists;
mod peers;
mod properties;
mod recorded;

#[path = "../support/naive_client.rs"]
mod naive_client;

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tollgate_http::address::{ClientAddress, Network, Peer, Prefixes, Source, Trust};

/// The address, or `unix`.
fn peer(text: &str) -> Peer {
    match text {
        "unix" => Peer::Unix,
        address => Peer::Ip(address.parse::<IpAddr>().expect("an address")),
    }
}

/// Networks, and `unix`.
fn proxies(texts: &[&str]) -> Trust {
    Trust::Proxies {
        networks: texts
            .iter()
            .filter(|&&text| text != "unix")
            .map(|text| text.parse().expect("a network"))
            .collect(),
        unix: texts.contains(&"unix"),
    }
}

fn single(name: &'static str) -> Source {
    Source::Single(HeaderName::from_static(name))
}

fn config(source: Source, trust: Trust) -> ClientAddress {
    ClientAddress { source, trust, prefixes: Prefixes::default() }
}

/// The name of the header that `source` is about.
fn name(source: &Source) -> HeaderName {
    match source {
        Source::Peer | Source::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
        Source::Forwarded => HeaderName::from_static("forwarded"),
        Source::Single(name) => name.clone(),
    }
}

/// Headers of one name.
fn headers<L: AsRef<[u8]>>(name: &HeaderName, lines: &[L]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_bytes(line.as_ref()).expect("a header value");
        headers.append(name, value);
    }
    headers
}

/// The whole address of the client, or `unix`, of a request with these lines of the header.
#[track_caller]
fn client<L: AsRef<[u8]>>(config: &ClientAddress, from: &str, lines: &[L]) -> String {
    let headers = headers(&name(&config.source), lines);
    let client = config.client(Some(peer(from)), &headers).expect("a peer");
    assert_eq!(client, naive_client::client(config, peer(from), &headers), "the reference differs");
    Network::of(client, Prefixes { ipv4: 32, ipv6: 128 }).to_string()
}

const NO_LINES: [&str; 0] = [];

/// Two networks of proxies, and `X-Forwarded-For`.
fn x_forwarded_for() -> ClientAddress {
    config(Source::XForwardedFor, proxies(&["10.0.0.0/8", "2001:db8:ffff::/48"]))
}

/// Two networks of proxies, and `Forwarded`.
fn forwarded() -> ClientAddress {
    config(Source::Forwarded, proxies(&["10.0.0.0/8", "2001:db8:ffff::/48"]))
}

/// A network of proxies, and `X-Real-IP`.
fn real_ip() -> ClientAddress {
    config(single("x-real-ip"), proxies(&["10.0.0.0/8"]))
}

/// The client of requests from 10.0.0.1, by the lines of the header.
#[track_caller]
fn check(config: &ClientAddress, cases: &[(&[&str], &str)]) {
    for (lines, expected) in cases {
        assert_eq!(client(config, "10.0.0.1", lines), *expected, "{lines:?}");
    }
}
