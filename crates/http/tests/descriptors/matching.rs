//! Which rule holds for a descriptor: the examples of envoyproxy/ratelimit's README (state of July
//! 2026), and what its `config_impl.go` does beyond them.

use tollgate_http::engine::{Descriptor, Matched};

use crate::Entries;
use crate::scene::{limiter, policy};

const LIMITS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// The rule that is found, by the name of its limit.
fn found(rules: &str, domain: &str, entries: Entries<'_>) -> String {
    let limits = LIMITS.map(|name| format!("[limits.{name}]\nquota = '9/s'\n")).concat();
    let (limiter, _) = limiter(&policy(&format!("{limits}{rules}")));
    let descriptors = [Descriptor::new(entries)];
    let decided = limiter.decide_descriptors(domain, &descriptors).now().expect("memory");
    assert!(decided.is_allowed());
    let [descriptor] = decided.descriptors() else { panic!("one descriptor: {decided:?}") };
    let names: Vec<&str> = descriptor.decision().limits().map(|limit| limit.name()).collect();
    match (descriptor.matched(), names.as_slice()) {
        (Matched::Limits, []) => "unlimited".into(),
        (Matched::Limits, names) => names.join("+"),
        (matched, []) => format!("{matched:?}"),
        (matched, names) => panic!("{matched:?} {names:?}"),
    }
}

fn rules(domain: &str, rules: &[(&str, &str)]) -> String {
    let rule = |(entries, limits): &(&str, &str)| {
        format!(
            "[[descriptors]]\ndomain = '{domain}'\nentries = [{entries}]\nlimits = [{limits}]\n"
        )
    };
    rules.iter().map(rule).collect()
}

#[test]
fn the_examples_of_the_readme() {
    let messaging = rules(
        "messaging",
        &[("'message_type=marketing', 'to_number'", "'a'"), ("'to_number'", "'b'")],
    );
    let marketing = ("message_type", "marketing");
    let number = ("to_number", "2061111111");
    assert_eq!(found(&messaging, "messaging", &[marketing, number]), "a");
    assert_eq!(found(&messaging, "messaging", &[number]), "b");
    assert_eq!(found(&messaging, "messaging", &[marketing]), "Nothing");
    assert_eq!(found(&messaging, "messages", &[number]), "UnknownDomain");

    let per_ip =
        rules("edge", &[("'remote_address'", "'a'"), ("'remote_address=50.0.0.5'", "'b'")]);
    assert_eq!(found(&per_ip, "edge", &[("remote_address", "50.0.0.1")]), "a");
    assert_eq!(found(&per_ip, "edge", &[("remote_address", "50.0.0.5")]), "b");

    let deeper = rules("example4", &[("'key=value'", "'a'")]);
    let (first, second) = (("key", "value"), ("subkey", "subvalue"));
    assert_eq!(found(&deeper, "example4", &[first, second]), "Nothing");
    assert_eq!(found(&deeper, "example4", &[first]), "a");

    let unlimited = rules("internal", &[("'ldap'", ""), ("'azure'", "'a'")]);
    assert_eq!(found(&unlimited, "internal", &[("ldap", "x")]), "unlimited");
}

#[test]
fn the_exact_value_then_patterns_in_order_then_the_key() {
    let rules = rules(
        "edge",
        &[
            ("'path'", "'a'"),
            ("'path=/v1/*'", "'b'"),
            ("'path=/v*'", "'c'"),
            ("'path=/v1/items'", "'d'"),
            ("'path=*.php'", "'e'"),
            ("{ key = 'path', value = '/v1/*' }", "'f'"),
            ("{ key = 'a=b' }", "'g'"),
        ],
    );
    for (value, limit) in [
        ("/v1/items", "d"),
        ("/v1/items/", "b"),
        ("/v1/x.php", "b"),
        ("/v2", "c"),
        ("/x.php", "e"),
        ("/v1/*", "f"),
        ("", "a"),
        ("/V1/items", "a"),
    ] {
        assert_eq!(found(&rules, "edge", &[("path", value)]), limit, "{value}");
    }
    assert_eq!(found(&rules, "edge", &[("Path", "/v2")]), "Nothing");
    assert_eq!(found(&rules, "edge", &[("a=b", "c")]), "g");
    assert_eq!(found(&rules, "edge", &[("a", "b")]), "Nothing");
    assert_eq!(found(&rules, "edge", &[]), "Nothing");
}

#[test]
fn what_was_chosen_stays_chosen() {
    let rules = rules(
        "edge",
        &[
            ("'k=v', 'l=x'", "'a'"),
            ("'k', 'l'", "'b'"),
            ("'k=w*'", "'c'"),
            ("'k', 'k'", "'a', 'b'"),
        ],
    );
    // The first entry has led to the exact value, behind which there is no such entry.
    assert_eq!(found(&rules, "edge", &[("k", "v"), ("l", "y")]), "Nothing");
    assert_eq!(found(&rules, "edge", &[("k", "wx"), ("l", "y")]), "Nothing");
    assert_eq!(found(&rules, "edge", &[("k", "u"), ("l", "y")]), "b");
    assert_eq!(found(&rules, "edge", &[("k", "u"), ("k", "u")]), "a+b");
    assert_eq!(found(&rules, "edge", &[("l", "y"), ("k", "u")]), "Nothing");
}
