//! Labels come from the policy and from a list of words, whatever clients send.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use tollgate_http::Facts;
use tollgate_http::engine::Descriptor;

use crate::measured::{measured, with_recorder};
use crate::{builder, decide, policy};

const POLICY: &str = r#"
    always = ["flood"]
    [client]
    header = "x-forwarded-for"
    trusted_hops = 1
    [limits.flood]
    quota = "3/h"
    key = "address"
    [limits.calls]
    quota = "2/h"
    key = ["caller", "route", "method", "host"]
    missing = "share"
    [limits.tenant]
    quota = "2/h"
    key = "header:x-tenant"
    missing = "refuse"
    [tiers.premium]
    calls = "5/h"
    [[routes]]
    name = "items"
    path = "/items/{id}"
    limits = ["calls"]
    [[routes]]
    path = "/{*rest}"
    method = ["GET", "POST"]
    limits = ["tenant"]
    [penalty]
    key = "caller"
    after = "1/h"
    block = "1min"
    max = "1h"
    forget = "1day"
    [[descriptors]]
    domain = "edge"
    entries = ["GET"]
    limits = ["tenant"]
"#;

/// What a client can choose.
#[derive(Clone, Debug)]
struct Hostile {
    method: String,
    path: String,
    host: String,
    user: Option<String>,
    api_key: Option<String>,
    tier: String,
    tenant: Vec<u8>,
    forwarded_for: Vec<u8>,
    peer: Option<u32>,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let text = || prop_oneof!["\\PC{0,20}", "[a-z]{1,8}", "[{},=\"\n]{1,9}"];
    let path = prop_oneof!["/items/\\PC{0,12}", "/[a-z./%]{0,12}", "\\PC{0,12}"];
    let names = (prop_oneof!["GET", "POST", "[A-Z]{1,7}", text()], path, text(), text());
    let who = (proptest::option::of(text()), proptest::option::of(text()));
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    (names, who, bytes(), bytes(), proptest::option::of(0..4_u32)).prop_map(
        |((method, path, host, tier), (user, api_key), tenant, forwarded_for, peer)| Hostile {
            method,
            path,
            host,
            user,
            api_key,
            tier,
            tenant,
            forwarded_for,
            peer,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_series_is_made_by_a_request(requests in proptest::collection::vec(hostile(), 1..30)) {
        with_recorder(|snapshotter| {
            let limiter = builder(&policy(POLICY)).0.build().unwrap();
            let names = || measured(snapshotter).into_keys().collect::<BTreeSet<String>>();
            let before = names();
            for request in &requests {
                let mut headers = HeaderMap::new();
                for (name, value) in
                    [("x-tenant", &request.tenant), ("x-forwarded-for", &request.forwarded_for)]
                {
                    if let Ok(value) = HeaderValue::from_bytes(value) {
                        headers.insert(name, value);
                    }
                }
                let mut facts = Facts::new(&request.method, &request.path)
                    .host(&request.host)
                    .tier(&request.tier)
                    .headers(&headers);
                if let Some(peer) = request.peer {
                    facts = facts.peer(IpAddr::V4(Ipv4Addr::from_bits(peer)));
                }
                if let Some(user) = &request.user {
                    facts = facts.user(user.as_str());
                }
                if let Some(key) = &request.api_key {
                    facts = facts.api_key(key);
                }
                let mut decision = decide(&limiter, &facts);
                limiter.answered(&mut decision, 200);
                let entries = [(request.method.as_str(), request.path.as_str())];
                let descriptors = [Descriptor::new(&entries)];
                for domain in ["edge", &request.host] {
                    drop(limiter.decide_descriptors(domain, &descriptors).now());
                }
            }
            limiter.update_gauges();
            prop_assert_eq!(names(), before);
            Ok(())
        })?;
    }
}

#[test]
fn every_label_is_a_name_of_the_policy_or_a_word() {
    const WORDS: [&str; 18] = [
        "allowed",
        "refused",
        "blocked",
        "exempt",
        "penalty",
        "ambiguous",
        "error",
        "would_refuse",
        "over_limit",
        "unlimited",
        "no_rule",
        "unknown_domain",
        "as_request",
        "success",
        "none",
        "1",
        "items",
        "/{*rest}",
    ];
    with_recorder(|snapshotter| {
        let policy = policy(POLICY);
        let _limiter = builder(&policy).0.build().unwrap();
        for (key, ..) in snapshotter.snapshot().into_vec() {
            for label in key.key().labels() {
                let value = label.value();
                let is_limit =
                    label.key() == "limit" && ["flood", "calls", "tenant"].contains(&value);
                assert!(is_limit || value == policy.hash() || WORDS.contains(&value), "{label:?}");
            }
        }
    });
}
