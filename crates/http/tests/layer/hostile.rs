//! Whatever clients send: no panic, and no answer but the documented ones.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;
use tollgate_http::{Caller, Facts, HttpLimiter};

use crate::probe::{Probe, answer, behind, request, send};
use crate::scene::{facts, limiter, policy};

/// Everything that reads what a client sends.
const POLICY: &str = r#"
    always = ["flood"]
    [client]
    header = "forwarded"
    trusted_proxies = ["127.0.0.0/8"]
    [limits.flood]
    quota = "40/1000days"
    key = "address"
    max_keys = 3
    [limits.tenants]
    quota = "10/1000days"
    key = ["header:x-tenant", "method", "host", "route"]
    missing = "share"
    max_keys = 2
    when_full = "deny"
    [limits.calls]
    quota = "7/1000days"
    key = ["caller", "user", "api-key"]
    missing = "address"
    [tiers.gold]
    calls = "9/1000days"
    [[subjects]]
    address = "203.0.113.0/24"
    blocked = true
    [[routes]]
    path = "/a/{x}/b"
    host = "*.example.com"
    limits = ["tenants", "calls"]
    cost = 3
    [[routes]]
    path = "/a/{*rest}"
    method = ["GET", "POST"]
    limits = ["calls", "tenants"]
    charge = ["4xx"]
    [penalty]
    key = ["caller", "host"]
    after = "50/1000days"
    block = "1s"
    max = "1h"
    forget = "1day"
"#;

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec![
        "a", "b", "", ".", "..", "%2e", "%2E%2e", "%2F", "%", "%2", "%00", "%zz", "x", "%c3%28",
        ";", "a%2fb", "*", "{x}", "é",
    ]);
    prop::collection::vec(segment, 0..12).prop_map(|segments| format!("/{}", segments.join("/")))
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            "alice",
            "gold",
            "GET",
            "OPTIONS",
            "host",
            "x.example.com",
            "EXAMPLE.com.:80",
            "[::1",
            "for=203.0.113.9",
            "for=\"[2001:db8::1]:4\"",
            "for=\"",
            "203.0.113.1",
            "::",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

const HEADERS: [&str; 8] = [
    "x-tenant",
    "host",
    "forwarded",
    "x-forwarded-for",
    "origin",
    "access-control-request-method",
    "content-type",
    "authorization",
];

fn headers() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    let value = prop_oneof![
        word().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec((0..HEADERS.len(), value), 0..6)
}

fn map(headers: &[(usize, Vec<u8>)]) -> http::HeaderMap {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            map.append(HeaderName::from_static(HEADERS[*name]), value);
        }
    }
    map
}

const STATUSES: [u16; 5] = [200, 400, 403, 429, 503];

/// Decisions by any facts, also those that no server would let through.
fn decide(limiter: &HttpLimiter, words: &[String], headers: &http::HeaderMap) {
    let [method, path, host, user, key, tier, template] = words else { panic!("seven words") };
    let facts = Facts::new(method, path).headers(headers).host(host).user(user.as_str());
    let facts = facts.api_key(key).tier(tier).peer(std::net::IpAddr::from([127, 0, 0, 1]));
    for facts in [facts.clone(), facts.template(template)] {
        let explained = limiter.explain(&facts).expect("memory");
        let mut decision = limiter.decide(&facts).now().expect("memory");
        assert_eq!(explained.outcome(), decision.outcome());
        assert!(decision.status().is_none_or(|status| STATUSES.contains(&status)));
        limiter.answered(&mut decision, 200);
        assert!(!format!("{explained} {explained:?} {decision:?}").is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_facts_are_decided(
        requests in prop::collection::vec((prop::collection::vec(word(), 7), path(), headers()), 1..20),
    ) {
        let (limiter, _clock) = limiter(&policy(POLICY));
        for (mut words, path, headers) in requests {
            if words[1].len() % 2 == 0 {
                words[1] = path;
            }
            decide(&limiter, &words, &map(&headers));
        }
    }

    #[test]
    fn any_request_is_answered_as_documented(
        requests in prop::collection::vec((word(), path(), headers(), word(), word()), 1..30),
    ) {
        let (limiter, _clock) = limiter(&policy(POLICY));
        let mut service = behind(&limiter, Probe::new(|_| answer(200)));
        let mut allowed: BTreeMap<String, u32> = BTreeMap::new();
        for (method, path, headers, user, tier) in requests {
            let Ok(uri) = path.parse::<Uri>() else { continue };
            let mut sent = request("/");
            *sent.uri_mut() = uri;
            *sent.headers_mut() = map(&headers);
            if let Ok(method) = Method::from_bytes(method.as_bytes()) {
                *sent.method_mut() = method;
            }
            let is_user = sent.uri().path().starts_with("/a/");
            if is_user {
                sent.extensions_mut().insert(Caller::user(user.as_str()).in_tier(tier));
            }
            let response = send(&mut service, sent).expect("no error");
            let status = response.status().as_u16();
            prop_assert!(STATUSES.contains(&status), "{status}");
            let is_ours = response.headers().contains_key("ratelimit");
            // No more than the largest quota of a caller: 9 of the tier, at a cost of 1.
            if status == 200 && is_ours && is_user && !user.is_empty() {
                *allowed.entry(user).or_default() += 1;
            }
        }
        prop_assert!(allowed.values().all(|count| *count <= 40), "{allowed:?}");
    }

    #[test]
    fn what_an_untrusted_client_writes_changes_nothing(
        requests in prop::collection::vec((path(), headers()), 1..20),
    ) {
        // Without a configured header, and with a peer that is no trusted proxy.
        let closed = POLICY.replace("127.0.0.0/8", "10.0.0.0/8").replace("header:x-tenant", "user");
        let policy = policy(&closed.replace("*.example.com", "none.invalid"));
        let ((plain, _), (lied, _)) = (limiter(&policy), limiter(&policy));
        for (path, headers) in requests {
            let mut headers = map(&headers);
            // Those that this policy reads of everybody.
            for read in ["host", "origin"] {
                headers.remove(read);
            }
            let nothing = http::HeaderMap::new();
            let one = crate::scene::decide(&plain, &facts(&path).headers(&nothing));
            let other = crate::scene::decide(&lied, &facts(&path).headers(&headers));
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
    }
}

#[test]
fn strange_and_long_paths_are_decided() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let many = |segment: &str, times: usize| format!("/a/{}", segment.repeat(times));
    for path in [
        String::new(),
        "\0".to_owned(),
        "/a/\0/%00/b".to_owned(),
        "%".to_owned(),
        "/%2".to_owned(),
        "no slash".to_owned(),
        many("x/", 10_000),
        many("../", 10_000),
        many("./", 10_000),
        many("x/../", 10_000),
        many("/", 20_000),
        many("%2e%2e/", 10_000),
        many("%", 20_000),
        many("%25", 30_000),
        many("é", 20_000),
        format!("/a/{}", "x".repeat(500_000)),
    ] {
        for method in ["GET", &"\0".repeat(9)] {
            let facts = Facts::new(method, &path).peer(std::net::IpAddr::from([127, 0, 0, 1]));
            let decision = limiter.decide(&facts).now().expect("memory");
            assert!(decision.status().is_none_or(|status| STATUSES.contains(&status)));
        }
    }
}

#[test]
fn a_peer_that_is_not_known_is_a_mistake_of_the_server_and_the_only_500() {
    let (limiter, _clock) = limiter(&policy(POLICY));
    let mut service = behind(&limiter, Probe::new(|_| answer(200)));
    let response = send(&mut service, Request::new(String::new())).unwrap();
    assert_eq!(response.status(), 500);
}
