//! Descriptors that are decided as requests: routes, tiers, subjects, penalties, and facts.

use std::time::Duration;

use tollgate_http::Outcome;

use crate::scene::{limiter, policy};
use crate::{Entries, allowed, decide, left};

const POLICY: &str = r#"
    always = ["flood"]
    default_tier = "free"
    [client]
    ipv4_prefix = 24
    [limits.flood]
    quota = "20/h"
    key = "address"
    [limits.calls]
    quota = "4/h"
    key = "caller"
    [limits.by_host]
    quota = "3/h"
    key = ["host", "method"]
    [tiers.free]
    [tiers.gold]
    calls = "8/h"
    [[subjects]]
    user = "mallory"
    blocked = true
    [[subjects]]
    user = "probe"
    exempt = true
    [[routes]]
    name = "items"
    path = "/items/{id}"
    limits = ["calls"]
    cost = 2
    [[routes]]
    name = "hosts"
    path = "/hosts"
    limits = ["by_host"]
    [penalty]
    key = "caller"
    after = "2/h"
    block = "1min"
    [[descriptors]]
    domain = "edge"
    entries = ["remote_address", "path", "user"]
    as_request = true
    [[descriptors]]
    domain = "edge"
    entries = ["masked_remote_address", ":path", "tier"]
    as_request = true
    [[descriptors]]
    domain = "edge"
    entries = ["remote_address", ":path", ":method", ":authority"]
    as_request = true
    [[descriptors]]
    domain = "edge"
    entries = ["path"]
    as_request = true
    [[descriptors]]
    domain = "edge"
    entries = ["remote_address"]
    limits = ["flood"]
"#;

#[test]
fn routes_costs_and_subjects_of_the_policy_decide() {
    let (limiter, _) = limiter(&policy(POLICY));
    let items = |user| [("remote_address", "192.0.2.9"), ("path", "/items/7?x=1"), ("user", user)];
    let decided = decide(&limiter, &[(&items("alice"), 1)]);
    let alice = decided.descriptors()[0].decision();
    assert_eq!((alice.route(), alice.tier()), (Some("items"), Some("free")));
    let limits: Vec<_> = alice.limits().map(|limit| (limit.name(), limit.remaining())).collect();
    assert_eq!(limits, [("flood", 18), ("calls", 2)]);
    // The hits multiply the cost of the route.
    assert_eq!(allowed(&decide(&limiter, &[(&items("alice"), 2)])), [false]);
    let blocked = decide(&limiter, &[(&items("mallory"), 1)]);
    assert_eq!(blocked.descriptors()[0].decision().outcome(), Outcome::Blocked);
    let exempt = decide(&limiter, &[(&items("probe"), 99)]);
    assert_eq!(exempt.descriptors()[0].decision().outcome(), Outcome::Exempt);
    let ambiguous = [("remote_address", "192.0.2.9"), ("path", "/items/../hosts"), ("user", "u")];
    let ambiguous = decide(&limiter, &[(&ambiguous, 1)]);
    assert_eq!(ambiguous.descriptors()[0].decision().outcome(), Outcome::Ambiguous);
}

#[test]
fn a_penalty_follows_refusals_and_makes_other_descriptors_take_nothing() {
    let (limiter, clock) = limiter(&policy(POLICY));
    let items: Entries<'_> =
        &[("remote_address", "192.0.2.9"), ("path", "/items/7"), ("user", "alice")];
    let other: Entries<'_> = &[("remote_address", "198.51.100.1")];
    let outcomes: Vec<Outcome> = (0..6)
        .map(|_| {
            let decided = decide(&limiter, &[(other, 1), (items, 1)]);
            decided.descriptors()[1].decision().outcome()
        })
        .collect();
    let (allowed, refused) = (Outcome::Allowed, Outcome::Refused);
    assert_eq!(outcomes, [allowed, allowed, refused, refused, refused, Outcome::Penalty]);
    assert_eq!(limiter.penalties().len(), 1);
    assert_eq!(left(&decide(&limiter, &[(other, 1)])), [20 - 2 - 1]);
    clock.advance(Duration::from_secs(3600));
    assert!(decide(&limiter, &[(items, 1)]).is_allowed());
}

#[test]
fn facts_have_several_names() {
    let (limiter, _) = limiter(&policy(POLICY));
    let gold: Entries<'_> =
        &[("masked_remote_address", "203.0.113.0/24"), (":path", "/items/1"), ("tier", "gold")];
    let decided = decide(&limiter, &[(gold, 1)]);
    let decision = decided.descriptors()[0].decision();
    assert_eq!(decision.tier(), Some("gold"));
    let keys: Vec<String> = decision.limits().map(|limit| limit.key().to_string()).collect();
    assert_eq!(keys, ["address 203.0.113.0/24", "address 203.0.113.0/24"]);
    let host: Entries<'_> = &[
        ("remote_address", "::ffff:203.0.113.77"),
        (":path", "/hosts"),
        (":method", "PUT"),
        (":authority", "API.example:443"),
    ];
    let decided = decide(&limiter, &[(host, 1)]);
    let keys: Vec<String> =
        decided.descriptors()[0].decision().limits().map(|limit| limit.key().to_string()).collect();
    assert_eq!(keys, ["address 203.0.113.0/24", "host api.example + method PUT"]);
}

#[test]
fn a_request_without_an_address_is_an_error() {
    let (limiter, _) = limiter(&policy(POLICY));
    let decided = decide(&limiter, &[(&[("path", "/items/1")], 1)]);
    assert_eq!(decided.descriptors()[0].decision().outcome(), Outcome::NoPeer);
    assert!(!decided.is_allowed());
}

/// It was an error, which Envoy takes for yes: whoever could choose the value had no limit.
#[test]
fn all_values_that_are_no_address_share_a_bucket() {
    let policy = policy(&format!(
        "{POLICY}
        [[subjects]]
        address = '192.0.2.0/24'
        exempt = true
        "
    ));
    let (limiter, _) = limiter(&policy);
    let long = "9".repeat(100_000);
    let odd = ["localhost", "", "1.2.3", "192.0.2.1:80", "unix", "192.0.2.1, 192.0.2.2", &*long];
    for (rest, value) in (13..20).rev().zip(odd) {
        let entries = [("remote_address", value)];
        let decided = decide(&limiter, &[(&entries, 1)]);
        assert_eq!(left(&decided), [rest], "{value:?}");
        let keys: Vec<String> = decided.descriptors()[0]
            .decision()
            .limits()
            .map(|limit| limit.key().to_string())
            .collect();
        assert_eq!(keys, ["missing"]);
    }
    // Decided as a request: by the limits of its route, and by the same bucket. The user has none.
    let items = |value| [("masked_remote_address", value), (":path", "/items/1"), ("tier", "gold")];
    let decided = decide(&limiter, &[(&items("x/24"), 1)]);
    let names: Vec<_> =
        decided.descriptors()[0].decision().limits().map(|limit| limit.name()).collect();
    assert_eq!(names, ["flood", "calls"]);
    let outcomes = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .map(|value| decide(&limiter, &[(&items(value), 1)]).descriptors()[0].decision().outcome());
    assert_eq!(outcomes[..3], [Outcome::Allowed; 3], "8/h, at a cost of 2");
    assert_eq!(outcomes[3..5], [Outcome::Refused; 2]);
    assert_eq!(outcomes[7], Outcome::Penalty, "a penalty holds for all of them, too");
    // Addresses are counted as before.
    assert_eq!(left(&decide(&limiter, &[(&[("remote_address", "198.51.100.1")], 1)])), [19]);
}
