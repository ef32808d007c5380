//! Generated policies: printed and read again, and the same in all formats.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};
use tollgate_http::policy::Policy;

const LIMITS: &[&str] = &["calls", "login", "a.b", "0_x-y", "site"];
const TIERS: &[&str] = &["free", "gold", "no \"bare\" key", "größe"];

/// A policy without mistakes, as a tree.
pub(crate) fn policy() -> impl Strategy<Value = Value> {
    let limits = vec(limit(), LIMITS.len());
    let tiers = vec(quotas(), 0..=TIERS.len());
    let names = subsequence(LIMITS.to_vec(), 0..=LIMITS.len());
    (
        (option::of(select(vec!["enforce", "shadow", "off"])), names),
        client(),
        (limits, tiers),
        vec(subject(), 0..6),
        (vec(route(), 0..6), vec(descriptor(), 0..6)),
        option::of(response()),
        option::of(penalty()),
    )
        .prop_map(
            |((mode, always), client, (limits, tiers), subjects, lists, response, penalty)| {
                let (routes, descriptors) = lists;
                let mut root = Map::new();
                root.insert("version".into(), json!(1));
                set(&mut root, "mode", mode.map(|mode| json!(mode)));
                root.insert("always".into(), json!(always));
                set(&mut root, "client", client);
                root.insert("limits".into(), named(LIMITS, limits));
                if !tiers.is_empty() {
                    root.insert("default_tier".into(), json!(TIERS[tiers.len() - 1]));
                }
                let has_tiers = !tiers.is_empty();
                root.insert("tiers".into(), named(TIERS, tiers));
                root.insert(
                    "subjects".into(),
                    numbered(subjects, |index, subject| {
                        let user = subject
                            .get("user")
                            .and_then(Value::as_str)
                            .map(|user| format!("{index}{user}"));
                        set(subject, "user", user.map(Value::from));
                        if subject.contains_key("tier") && !has_tiers {
                            subject.remove("tier");
                            subject.remove("limits");
                            subject.insert("blocked".into(), json!(true));
                        }
                    }),
                );
                root.insert(
                    "routes".into(),
                    numbered(routes, |index, route| {
                        let path = route["path"].as_str().unwrap_or_default();
                        let path = format!("/route-{index}{path}");
                        route.insert("path".into(), json!(path));
                    }),
                );
                root.insert(
                    "descriptors".into(),
                    numbered(descriptors, |index, rule| {
                        rule.insert("domain".into(), json!(format!("domain {index}")));
                    }),
                );
                set(&mut root, "response", response);
                set(&mut root, "penalty", penalty);
                Value::Object(root)
            },
        )
}

fn set(map: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        map.insert(key.into(), value);
    }
}

fn named(names: &[&str], values: Vec<Value>) -> Value {
    Value::Object(names.iter().map(|&name| name.to_owned()).zip(values).collect())
}

/// A list of tables, each changed by its number so that no two of them are alike.
fn numbered(tables: Vec<Value>, change: impl Fn(usize, &mut Map<String, Value>)) -> Value {
    let numbered = tables.into_iter().enumerate().map(|(index, mut table)| {
        if let Value::Object(table) = &mut table {
            change(index, table);
        }
        table
    });
    numbered.collect()
}

/// A table with those of `settings` that are there.
fn table(settings: Vec<(&str, Option<Value>)>) -> Value {
    let given = settings.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(given.collect())
}

/// Any text that is not empty, also with control characters.
fn text() -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("a character of the basic plane", |c| *c < '\u{ffff}'), 1..12)
        .prop_map(String::from_iter)
}

/// A quota whose burst is at least 10, which is the largest cost.
fn quota() -> impl Strategy<Value = String> {
    let unit = select(vec!["s", "min", "3h", "day", "250ms", "7day", "1m30s"]);
    prop_oneof![
        8 => (10..100_000_u32, unit).prop_map(|(permits, unit)| format!("{permits}/{unit}")),
        1 => Just("unlimited".to_owned()),
    ]
}

fn limit() -> impl Strategy<Value = Value> {
    let keys = vec![
        "address",
        "user",
        "api-key",
        "caller",
        "route",
        "method",
        "host",
        "header:x-a",
        "entry:a, b",
    ];
    let missing = select(vec!["address", "skip", "share", "refuse"]);
    let algorithm = select(vec!["fixed-window", "sliding-window", "strict"]);
    (
        (quota(), option::of(10..1000_u32), option::of(algorithm)),
        (subsequence(keys, 0..4), missing),
        option::of(select(vec![429, 503])),
        option::of(select(vec!["enforce", "shadow"])),
        (option::of(8..=32_u8), option::of(32..=128_u8)),
        (option::of(1..=u32::MAX), option::of(select(vec!["share", "deny"]))),
    )
        .prop_map(
            |((quota, burst, algorithm), (key, missing), status, mode, (v4, v6), full)| {
                let burst = burst.filter(|_| algorithm.is_none() && quota != "unlimited");
                let quota = burst.map_or(quota.clone(), |burst| format!("{quota} burst {burst}"));
                let missing = (!key.is_empty()).then(|| json!(missing));
                let key = match key.as_slice() {
                    [] => None,
                    [one] => Some(json!(one)),
                    several => Some(json!(several)),
                };
                table(vec![
                    ("quota", Some(json!(quota))),
                    ("key", key),
                    ("missing", missing),
                    ("algorithm", algorithm.map(Value::from)),
                    ("status", status.map(Value::from)),
                    ("mode", mode.map(Value::from)),
                    ("ipv4_prefix", v4.map(Value::from)),
                    ("ipv6_prefix", v6.map(Value::from)),
                    ("max_keys", full.0.map(Value::from)),
                    ("when_full", full.1.map(Value::from)),
                ])
            },
        )
}

/// Quotas for some of the limits, without bursts, which windows do not have.
fn quotas() -> impl Strategy<Value = Value> {
    (subsequence(LIMITS.to_vec(), 0..=LIMITS.len()), vec(quota(), LIMITS.len()))
        .prop_map(|(names, quotas)| named(&names, quotas.into_iter().map(Value::from).collect()))
}

fn client() -> impl Strategy<Value = Option<Value>> {
    let header = select(vec!["x-forwarded-for", "forwarded", "x-real-ip", "Forwarded"]);
    let networks =
        vec!["10.0.0.0/8", "unix", "2001:db8::/32", "192.0.2.1", "::ffff:198.51.100.0/120"];
    let trust = prop_oneof![
        subsequence(networks, 1..=5).prop_map(|networks| ("trusted_proxies", json!(networks))),
        (1..=u32::MAX).prop_map(|hops| ("trusted_hops", json!(hops))),
    ];
    let prefixes = (option::of(8..=32_u8), option::of(32..=128_u8));
    option::of((header, trust, prefixes).prop_map(|(header, (key, trust), (v4, v6))| {
        table(vec![
            ("header", Some(json!(header))),
            (key, Some(trust)),
            ("ipv4_prefix", v4.map(Value::from)),
            ("ipv6_prefix", v6.map(Value::from)),
        ])
    }))
}

fn subject() -> impl Strategy<Value = Value> {
    let what = prop_oneof![
        Just(json!({"exempt": true})),
        Just(json!({"blocked": true})),
        (0..253_402_300_800_u64).prop_map(|seconds| {
            let until = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            json!({"blocked": true, "until": humantime::format_rfc3339(until).to_string()})
        }),
        (quotas(), quota()).prop_map(|(mut limits, quota)| {
            limits["calls"] = json!(quota);
            json!({"limits": limits})
        }),
        Just(json!({"tier": "free"})),
    ];
    (text(), what).prop_map(|(user, mut subject)| {
        subject["user"] = json!(user);
        subject
    })
}

fn route() -> impl Strategy<Value = Value> {
    let methods = subsequence(vec!["GET", "POST", "DELETE", "PROPFIND"], 1..4);
    let path = select(vec!["", "/{id}", "/{*rest}", "/a/{x}/b", "/%2F%20ä", "/x/"]);
    let host = select(vec!["a.example", "*.a.example", "[::1]", "LOCALHOST."]);
    let status = prop_oneof![
        (100..600_u16).prop_map(Value::from),
        select(vec!["2xx", "4xx", "5xx"]).prop_map(Value::from)
    ];
    let names = || subsequence(LIMITS.to_vec(), 0..=LIMITS.len());
    (
        (path, option::of(methods), option::of(host)),
        (names(), option::of(1..=10_u8)),
        (names(), vec(1..=10_u8, LIMITS.len())),
        option::of(vec(status, 1..5)),
        option::of(any::<bool>()),
    )
        .prop_map(
            |((path, methods, host), (limits, cost), (costly, costs), charge, always)| {
                let costs = named(&costly, costs.into_iter().map(Value::from).collect());
                table(vec![
                    ("path", Some(json!(path))),
                    ("method", methods.map(Value::from)),
                    ("host", host.map(Value::from)),
                    ("limits", Some(json!(limits))),
                    ("cost", cost.map(Value::from)),
                    ("costs", (!costly.is_empty()).then_some(costs)),
                    ("charge", charge.map(Value::from)),
                    ("always", always.map(Value::from)),
                ])
            },
        )
}

/// A rule for descriptors, whose limits find their addresses in `remote_address`.
fn descriptor() -> impl Strategy<Value = Value> {
    let entry = prop_oneof![
        select(vec!["k", "generic_key=a b", "path=/v1/*", "path=*.php*", "a=b=c"])
            .prop_map(Value::from),
        text().prop_map(|key| json!({"key": key})),
        (text(), text()).prop_map(|(key, value)| json!({"key": key, "value": value})),
        (text(), text()).prop_map(|(key, like)| json!({"key": key, "like": like})),
    ];
    let names = subsequence(LIMITS.to_vec(), 0..=LIMITS.len());
    let what = prop_oneof![
        (names, any::<bool>()).prop_map(|(limits, owe)| json!({"limits": limits, "owe": owe})),
        Just(json!({"blocked": true})),
        Just(json!({"as_request": true, "blocked": false})),
    ];
    (vec(entry, 0..4), what).prop_map(|(mut entries, mut rule)| {
        entries.push(json!("remote_address"));
        rule["entries"] = json!(entries);
        rule
    })
}

fn response() -> impl Strategy<Value = Value> {
    let headers = prop_oneof![
        subsequence(vec!["ratelimit", "x-ratelimit"], 0..=2),
        subsequence(vec!["x-ratelimit", "ratelimit-07"], 0..=2),
    ];
    let reset = option::of(select(vec!["seconds", "epoch"]));
    let body = option::of(select(vec!["problem", "json", "text", "none"]));
    (option::of(headers), reset, body).prop_map(|(headers, reset, body)| {
        table(vec![
            ("headers", headers.map(Value::from)),
            ("x_ratelimit_reset", reset.map(Value::from)),
            ("body", body.map(Value::from)),
        ])
    })
}

fn penalty() -> impl Strategy<Value = Value> {
    let key = subsequence(vec!["caller", "address", "header:x-a"], 1..=3);
    let max = option::of(select(vec!["1h", "90min", "2day"]));
    let forget = option::of(select(vec!["1s", "1day", "52week"]));
    (option::of(key), quota(), option::of(1..=u32::MAX), max, forget).prop_map(
        |(key, after, growth, max, forget)| {
            let after = if after == "unlimited" { "30/min".into() } else { after };
            table(vec![
                ("key", key.map(Value::from)),
                ("after", Some(json!(after))),
                ("block", Some(json!("10min"))),
                ("growth", growth.map(Value::from)),
                ("max", max.map(Value::from)),
                ("forget", forget.map(Value::from)),
            ])
        },
    )
}

/// JSON in ASCII, which is YAML, too.
fn ascii(tree: &Value) -> String {
    let escape =
        |c: char| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    tree.to_string().chars().map(escape).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_printed_is_read_as_the_same_policy(tree in policy()) {
        let text = ascii(&tree);
        let policy = Policy::from_json(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        #[cfg(feature = "yaml")]
        prop_assert_eq!(&Policy::from_yaml(&text).expect("the same in YAML"), &policy);
        let printed = policy.to_string();
        let again: Policy = printed.parse().map_err(|error| {
            TestCaseError::fail(format!("{error}\n{printed}"))
        })?;
        prop_assert_eq!(&again, &policy);
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(again.hash(), policy.hash());
    }

    #[test]
    fn the_schema_accepts_each_policy(tree in policy()) {
        let wrong = super::schema::wrong(&tree);
        prop_assert!(wrong.is_empty(), "{:?}", wrong);
    }
}
