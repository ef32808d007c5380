//! Cases of each rule about peers and keys: A1, A2, A9 and A10.

use std::net::{IpAddr, SocketAddr};
use std::{fmt::Debug, hash::Hash};

use http::header::HeaderMap;
use tollgate_http::address::{ClientAddress, Network, NoPeer, Peer, Prefixes, Source, Trust};

use super::{
    NO_LINES, client, config, forwarded, headers, peer, proxies, real_ip, x_forwarded_for,
};

// A1: a wrapped IPv4 address is IPv4, and a request without a peer is an error.

#[test]
fn a1_wrapped_peers_are_ipv4_peers() {
    let nobody = ClientAddress::default();
    for (from, expected) in [
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ("::203.0.113.7", "::cb00:7107"),
        ("64:ff9b:1::203.0.113.7", "64:ff9b:1::cb00:7107"),
        ("64:ff9b::1:203.0.113.7", "64:ff9b::1:cb00:7107"),
        ("::1:ffff:203.0.113.7", "::1:ffff:cb00:7107"),
    ] {
        assert_eq!(client(&nobody, from, &NO_LINES), expected, "{from}");
    }
    // As peers, they are trusted as IPv4, too.
    for from in ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1"] {
        assert_eq!(client(&x_forwarded_for(), from, &["203.0.113.7"]), "203.0.113.7");
    }
}

#[test]
fn a1_a_peer_from_an_address_is_unwrapped_and_has_neither_port_nor_zone() {
    let address: SocketAddr = "[fe80::1%7]:443".parse().expect("a socket address");
    assert_eq!(Peer::from(address), peer("fe80::1"));
    let address: SocketAddr = "[::ffff:203.0.113.7]:443".parse().expect("a socket address");
    assert_eq!(Peer::from(address), peer("203.0.113.7"));
    let address: IpAddr = "64:ff9b::203.0.113.7".parse().expect("an address");
    assert_eq!(Peer::from(address), peer("203.0.113.7"));
}

#[test]
fn a1_networks_of_wrapped_addresses_are_ipv4_networks() {
    for network in ["::ffff:10.0.0.0/104", "64:ff9b::10.0.0.0/104"] {
        let config = config(Source::XForwardedFor, proxies(&[network]));
        for from in ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.255.0.1"] {
            assert_eq!(client(&config, from, &["203.0.113.7"]), "203.0.113.7", "{from}");
        }
        assert_eq!(client(&config, "11.0.0.1", &["203.0.113.7"]), "11.0.0.1");
    }
    // All of them, and one of them.
    for network in ["::ffff:0.0.0.0/96", "::ffff:10.0.0.1/128"] {
        let config = config(Source::XForwardedFor, proxies(&[network]));
        assert_eq!(client(&config, "10.0.0.1", &["2001:db8::1"]), "2001:db8::1");
    }
    let one = config(Source::XForwardedFor, proxies(&["::ffff:10.0.0.1/128"]));
    assert_eq!(client(&one, "10.0.0.2", &["2001:db8::1"]), "10.0.0.2");
    // This network has other addresses as well, and was not meant.
    let wide = config(Source::XForwardedFor, proxies(&["::/64"]));
    assert_eq!(client(&wide, "10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
    assert_eq!(client(&wide, "::1", &["203.0.113.7"]), "203.0.113.7");
}

#[test]
fn a1_without_a_peer_there_is_no_client() {
    let headers = headers(&"x-forwarded-for".parse().expect("a name"), &["203.0.113.7"]);
    for config in [ClientAddress::default(), x_forwarded_for(), forwarded(), real_ip()] {
        assert_eq!(config.client(None, &headers), Err(NoPeer));
        assert_eq!(config.client(None, &HeaderMap::new()), Err(NoPeer));
    }
}

// A2: a header counts only if it is the configured one and comes from a trusted peer.

#[test]
fn a2_headers_of_a_stranger_are_not_read() {
    for config in [x_forwarded_for(), forwarded(), real_ip()] {
        for line in ["203.0.113.7", "for=203.0.113.7", "garbage", "\"", ""] {
            assert_eq!(client(&config, "198.51.100.9", &[line]), "198.51.100.9");
            assert_eq!(client(&config, "unix", &[line]), "unix");
        }
    }
    let nobody = config(Source::XForwardedFor, Trust::Nobody);
    assert_eq!(client(&nobody, "10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
    let zero = config(Source::XForwardedFor, Trust::Hops(0));
    assert_eq!(client(&zero, "10.0.0.1", &["203.0.113.7"]), "10.0.0.1");
}

#[test]
fn a2_only_the_configured_header_is_read() {
    let mut headers = HeaderMap::new();
    let names = ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "x-client-ip"];
    for name in names {
        let value = if name == "forwarded" { "for=203.0.113.7" } else { "203.0.113.7" };
        headers.insert(name, value.parse().expect("a value"));
    }
    let read = [("x-forwarded-for", x_forwarded_for()), ("forwarded", forwarded())];
    for (name, config) in read.into_iter().chain([("x-real-ip", real_ip())]) {
        assert_eq!(config.client(Some(peer("10.0.0.1")), &headers), Ok(peer("203.0.113.7")));
        let mut others = headers.clone();
        others.remove(name);
        assert_eq!(config.client(Some(peer("10.0.0.1")), &others), Ok(peer("10.0.0.1")));
    }
    let none = config(Source::Peer, proxies(&["10.0.0.0/8"]));
    assert_eq!(none.client(Some(peer("10.0.0.1")), &headers), Ok(peer("10.0.0.1")));
}

// A9: Unix sockets are peers, too.

#[test]
fn a9_unix_sockets_are_trusted_if_listed() {
    let listed = config(Source::XForwardedFor, proxies(&["unix", "10.0.0.0/8"]));
    assert_eq!(client(&listed, "unix", &["203.0.113.7, 10.0.0.2"]), "203.0.113.7");
    assert_eq!(client(&listed, "unix", &NO_LINES), "unix");
    assert_eq!(client(&listed, "unix", &["unknown"]), "unix");
    assert_eq!(client(&listed, "10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
    assert_eq!(client(&x_forwarded_for(), "unix", &["203.0.113.7"]), "unix");
    let only = config(Source::Forwarded, proxies(&["unix"]));
    assert_eq!(client(&only, "unix", &["for=203.0.113.7, for=10.0.0.2"]), "10.0.0.2");
}

// A10: clients are counted by network.

#[test]
fn a10_a_key_is_the_address_cut_to_its_family_prefix() {
    let default = Prefixes::default();
    for (client, prefixes, expected) in [
        ("203.0.113.7", default, "203.0.113.7"),
        ("203.0.113.7", Prefixes { ipv4: 24, ipv6: 64 }, "203.0.113.0/24"),
        ("203.0.113.7", Prefixes { ipv4: 8, ipv6: 64 }, "203.0.0.0/8"),
        ("203.0.113.7", Prefixes { ipv4: 0, ipv6: 0 }, "0.0.0.0/0"),
        ("203.0.113.7", Prefixes { ipv4: 33, ipv6: 64 }, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", default, "2001:db8:1:2::/64"),
        ("2001:db8:0:0:1::", default, "2001:db8::/64"),
        ("2001:DB8:1:2FF::1", Prefixes { ipv4: 32, ipv6: 56 }, "2001:db8:1:200::/56"),
        ("2001:db8:1:2::1", Prefixes { ipv4: 32, ipv6: 128 }, "2001:db8:1:2::1"),
        ("2001:db8:1:2::1", Prefixes { ipv4: 32, ipv6: 255 }, "2001:db8:1:2::1"),
        ("2001:db8:0:2:0:0:0:1", Prefixes { ipv4: 32, ipv6: 127 }, "2001:db8:0:2::/127"),
        // IPv6's prefix is not for IPv4 in an IPv6 address.
        ("::ffff:203.0.113.7", default, "203.0.113.7"),
        ("64:ff9b::203.0.113.7", Prefixes { ipv4: 24, ipv6: 64 }, "203.0.113.0/24"),
        ("unix", default, "unix"),
    ] {
        assert_eq!(Network::of(peer(client), prefixes).to_string(), expected, "{client}");
    }
}

#[test]
fn a10_a_network_is_a_small_key() {
    fn is_a_key<T: Copy + Eq + Hash + Ord + Debug + Send + Sync + 'static>() {}
    is_a_key::<Network>();
    assert!(size_of::<Network>() <= 18, "{}", size_of::<Network>());

    let of = |client| Network::of(peer(client), Prefixes::default());
    assert_eq!(of("2001:db8::1"), of("2001:db8::2"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    assert_ne!(of("203.0.113.7"), of("203.0.113.8"));
    assert_ne!(of("0.0.0.0"), of("unix"));
}

/// Whether a header is looked at says more than the client does: a client that is the peer may be
/// one that the header names, or one whose header nobody believes.
#[test]
fn a_header_is_read_if_it_is_named_and_there_and_its_sender_is_trusted() {
    let reads = |client: &str, from: &str, name: &'static str| {
        let policy = format!("version = 1\n[client]\n{client}\n");
        let policy: tollgate_http::Policy = policy.parse().expect("a policy");
        let limiter = tollgate_http::HttpLimiter::new(&policy).expect("memory");
        let mut headers = HeaderMap::new();
        headers.insert(name, from.parse().expect("a value"));
        let facts = tollgate_http::Facts::new("GET", "/").peer(peer(from)).headers(&headers);
        limiter.reads_client_of(&facts)
    };
    let trusted = "trusted_proxies = ['10.0.0.0/8']";
    for (source, name) in [
        ("x-forwarded-for", "x-forwarded-for"),
        ("forwarded", "forwarded"),
        ("x-real-ip", "x-real-ip"),
    ] {
        let client = format!("header = '{source}'\n{trusted}");
        assert!(reads(&client, "10.0.0.1", name), "{source}");
        assert!(reads(&client, "::ffff:10.0.0.1", name), "{source}: a wrapped address");
        assert!(!reads(&client, "192.0.2.1", name), "{source}: a stranger");
        assert!(!reads(&client, "10.0.0.1", "x-other"), "{source}: another header");
        assert!(reads(&format!("header = '{source}'\ntrusted_hops = 1"), "192.0.2.1", name));
    }
    assert!(!reads("header = 'none'", "10.0.0.1", "x-forwarded-for"));
}
