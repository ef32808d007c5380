//! The cases in `tests/data/cases.json`, which other implementations can run, too.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tollgate_http::address::{ClientAddress, Network, Prefixes, Source, Trust};

use super::{peer, proxies};

const CASES: &str = include_str!("../data/cases.json");

#[test]
fn each_case_has_the_expected_key() {
    let file: Value = serde_json::from_str(CASES).expect("JSON");
    let cases = file["cases"].as_array().expect("cases");
    let cases: Vec<&Value> = cases.iter().filter(|case| case["kind"] == "address").collect();
    assert!(!cases.is_empty());
    for case in cases {
        let config = config(&case["config"]);
        let from = case["input"]["peer"].as_str().map(peer);
        let headers = headers(&case["input"]["headers"]);
        let expected = &case["expect"];
        match config.client(from, &headers) {
            Ok(client) => {
                let key = Network::of(client, config.prefixes).to_string();
                assert_eq!(Some(key.as_str()), expected["key"].as_str(), "{case}");
            }
            Err(_) => assert_eq!(expected["error"], "no_peer", "{case}"),
        }
    }
}

/// `[client]` of a policy.
fn config(settings: &Value) -> ClientAddress {
    let source = match settings["header"].as_str() {
        None => Source::Peer,
        Some("x-forwarded-for") => Source::XForwardedFor,
        Some("forwarded") => Source::Forwarded,
        Some(name) => Source::Single(name.parse().expect("a header's name")),
    };
    let trust = match (&settings["trusted_proxies"], settings["trusted_hops"].as_u64()) {
        (Value::Array(texts), None) => {
            proxies(&texts.iter().map(|text| text.as_str().expect("a text")).collect::<Vec<_>>())
        }
        (Value::Null, Some(hops)) => Trust::Hops(hops.try_into().expect("a small number")),
        _ => Trust::Nobody,
    };
    let prefix = |name: &str, default: u8| {
        settings[name].as_u64().map_or(default, |bits| bits.try_into().expect("a prefix"))
    };
    let Prefixes { ipv4, ipv6 } = Prefixes::default();
    let prefixes =
        Prefixes { ipv4: prefix("ipv4_prefix", ipv4), ipv6: prefix("ipv6_prefix", ipv6) };
    ClientAddress { source, trust, prefixes }
}

fn headers(pairs: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for pair in pairs.as_array().expect("headers") {
        let name: HeaderName = pair[0].as_str().expect("a name").parse().expect("a name");
        let value = pair[1].as_str().expect("a value").as_bytes();
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    headers
}
