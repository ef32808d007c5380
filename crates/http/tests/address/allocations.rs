//! The client of a request is found without an allocation.

use allocation_counter::measure;
use tollgate_http::address::{Network, Source, Trust};

use super::{config, headers, name, peer, proxies, single};

#[test]
fn nothing_is_allocated() {
    let long = "\"".to_owned() + &"a,;\\\"".repeat(500) + "\", ";
    let lines = [long.as_str(), "203.0.113.7", "for=203.0.113.7, for=10.0.0.2", "10.0.0.2"];
    for source in [Source::Peer, Source::XForwardedFor, Source::Forwarded, single("x-real-ip")] {
        let headers = headers(&name(&source), &lines);
        for trust in [Trust::Nobody, proxies(&["10.0.0.0/8"]), Trust::Hops(2)] {
            let config = config(source.clone(), trust);
            let info = measure(|| {
                let client = config.client(Some(peer("10.0.0.1")), &headers);
                client.map(|client| Network::of(client, config.prefixes)).expect("a peer");
            });
            assert_eq!(info.count_total, 0, "{config:?}");
        }
    }
}
