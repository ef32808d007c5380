//! A request from a trusted proxy, whose header the fuzzer writes.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tollgate_http::address::{ClientAddress, Network, Peer, Source, Trust};

use crate::naive_client;

/// The client that a header names must be the reference's, by networks and by hops.
///
/// Bytes that no header can have part the lines.
pub(crate) fn check(source: Source, name: &'static str, hops: u8, lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|&byte| byte == 127 || (byte < 32 && byte != b'\t')) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let networks = ["10.0.0.0/8", "::ffff:192.168.0.0/112", "2001:db8::/32"];
    let networks = networks.iter().filter_map(|text| text.parse().ok()).collect();
    for trust in [Trust::Proxies { networks, unix: true }, Trust::Hops(hops.into())] {
        let config = ClientAddress { source: source.clone(), trust, ..ClientAddress::default() };
        let client = config.client(Some(Peer::Unix), &headers).expect("there is a peer");
        assert_eq!(client, naive_client::client(&config, Peer::Unix, &headers));
        let _ = Network::of(client, config.prefixes).to_string();
    }
}
