//! The page on all settings, `src/policy/reference.md`: it has each setting that the schema has,
//! with an example that is a policy, and its defaults are true.

use tollgate_http::policy::Policy;

const PAGE: &str = include_str!("../../src/policy/reference.md");

/// The examples, joined to one policy.
fn example() -> String {
    let page = PAGE.split("# Settings").nth(1).expect("the part on settings");
    let mut text = String::new();
    for block in page.split("\n```toml\n").skip(1) {
        text.push_str(block.split("\n```").next().expect("a block ends"));
        text.push('\n');
    }
    text
}

#[test]
fn the_examples_are_a_policy() {
    let policy: Policy = example().parse().expect("a policy");
    assert_eq!(policy.warnings(), []);
    let other = PAGE.split("\n```toml,alternative\n").nth(1).expect("the other way of trust");
    let other = other.split("\n```").next().expect("a block ends");
    let policy: Policy = format!("version = 1\n{other}").parse().expect("a policy");
    assert_eq!(policy.warnings(), []);
}

/// A setting that is written as the default is the same as none.
#[test]
fn the_defaults_are_true() {
    let limits = "[limits.calls]\nquota = '10/min'\nkey = 'address'\n";
    let pairs = [
        (format!("version = 1\n{limits}"), format!("version = 1\nmode = 'enforce'\n{limits}")),
        (
            "version = 1".to_owned(),
            "version = 1\nalways = []\n[client]\nheader = 'none'\nipv4_prefix = 32\n\
             ipv6_prefix = 64\n[response]\nheaders = ['ratelimit', 'x-ratelimit']\n\
             x_ratelimit_reset = 'seconds'\nbody = 'problem'"
                .to_owned(),
        ),
        (
            format!("version = 1\n{limits}"),
            format!(
                "version = 1\n{limits}algorithm = 'token-bucket'\nstatus = 429\nmode = 'enforce'\n\
                 when_full = 'share'"
            ),
        ),
        (
            format!("version = 1\n{limits}"),
            format!("version = 1\n{limits}").replace("10/min", "10/min burst 10"),
        ),
        (
            format!("version = 1\n{limits}[[subjects]]\nuser = 'u'\nblocked = true"),
            format!(
                "version = 1\n{limits}[[subjects]]\nuser = 'u'\nblocked = true\nexempt = false"
            ),
        ),
        (
            format!("version = 1\n{limits}[[routes]]\npath = '/a'\nlimits = ['calls']"),
            format!(
                "version = 1\n{limits}[[routes]]\npath = '/a'\nlimits = ['calls']\nname = '/a'\n\
                 cost = 1\ncharge = 'always'\nalways = true"
            ),
        ),
        (
            "version = 1\n[[descriptors]]\ndomain = 'd'\nentries = ['k', 'l=*']".to_owned(),
            "version = 1\n[[descriptors]]\ndomain = 'd'\nentries = [{ key = 'k' }, { key = 'l', \
             like = '*' }]\nlimits = []\nblocked = false\nas_request = false\nowe = false"
                .to_owned(),
        ),
        (
            "version = 1\n[penalty]\nafter = '3/min'\nblock = '1min'".to_owned(),
            "version = 1\n[penalty]\nafter = '3/min'\nblock = '1min'\nkey = 'caller'\n\
             growth = 2\nmax = '1h'\nforget = '1day'"
                .to_owned(),
        ),
        (
            "version = 1\n[penalty]\nafter = '3/min'\nblock = '2h'".to_owned(),
            "version = 1\n[penalty]\nafter = '3/min'\nblock = '2h'\nmax = '2h'".to_owned(),
        ),
    ];
    for (without, with) in pairs {
        let parse = |text: &str| text.parse::<Policy>().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parse(&without), parse(&with), "{with}");
        assert_ne!(without, with);
    }
}

/// The ends of the ranges that the page names are possible, and what is beyond them is not.
#[test]
fn the_ranges_are_true() {
    let hops = |n: &str| format!("[client]\nheader = 'forwarded'\ntrusted_hops = {n}");
    let client = |key: &str, n: &str| format!("[client]\n{key} = {n}");
    let limit = |rest: &str| format!("[limits.a]\nquota = '1/s'\nkey = 'address'\n{rest}");
    let named = |name: &str| format!("[limits.'{name}']\nquota = '1/s'");
    let route = |rest: &str| format!("[[routes]]\npath = '/a'\n{rest}");
    let growth = |n: &str| format!("[penalty]\nafter = '1/s'\nblock = '1ns'\ngrowth = {n}");
    let descriptor = |domain: &str, n: usize| {
        let entries = vec!["'k'"; n].join(", ");
        format!("[[descriptors]]\ndomain = '{domain}'\nentries = [{entries}]")
    };
    let path = |n: usize| format!("[[routes]]\npath = '{}'", "/a".repeat(n));
    let routes = |n: usize| {
        (0..n).map(|n| format!("[[routes]]\npath = '/{n}'\n")).collect::<Vec<_>>().concat()
    };
    let tables = |what: &str, rest: &str, n: usize| {
        (0..n).map(|n| format!("[{what}.a{n}]\n{rest}\n")).collect::<Vec<_>>().concat()
    };
    let good_and_bad = [
        (hops("1"), hops("0")),
        (hops("4294967295"), hops("4294967296")),
        (client("ipv4_prefix", "8"), client("ipv4_prefix", "7")),
        (client("ipv4_prefix", "32"), client("ipv4_prefix", "33")),
        (client("ipv6_prefix", "32"), client("ipv6_prefix", "31")),
        (client("ipv6_prefix", "128"), client("ipv6_prefix", "129")),
        (limit("max_keys = 1"), limit("max_keys = 0")),
        (limit("max_keys = 4294967295"), limit("max_keys = 4294967296")),
        (limit("status = 503"), limit("status = 500")),
        (named(&"a".repeat(64)), named(&"a".repeat(65))),
        (named("0"), named("-a")),
        (route("cost = 1"), route("cost = 0")),
        (route("cost = 18446744073709551615"), route("cost = 18446744073709551616")),
        (route("charge = [100, 599]"), route("charge = [99]")),
        (route("charge = ['5xx']"), route("charge = ['6xx']")),
        (
            route(&format!("name = '{}'", "a".repeat(256))),
            route(&format!("name = '{}'", "a".repeat(257))),
        ),
        (path(100), path(101)),
        (descriptor("d", 1), descriptor("d", 0)),
        (descriptor("d", 32), descriptor("d", 33)),
        (descriptor(&"d".repeat(256), 1), descriptor(&"d".repeat(257), 1)),
        (growth("1"), growth("0")),
        (growth("4294967295"), growth("4294967296")),
        (growth("1"), growth("1").replace("1ns", "0s")),
        (routes(1000), routes(1001)),
        (tables("tiers", "", 1000), tables("tiers", "", 1001)),
        (tables("limits", "quota = '1/s'", 1000), tables("limits", "quota = '1/s'", 1001)),
    ];
    let is_policy = |text: &str| format!("version = 1\n{text}").parse::<Policy>().is_ok();
    for (good, bad) in good_and_bad {
        assert!(is_policy(&good), "{good}");
        assert!(!is_policy(&bad), "{bad}");
    }
}

/// The tables have each setting in a row of its own, and the examples use each one.
#[test]
fn every_setting_is_told() {
    use serde_json::Value;
    use tollgate_http::policy::json_schema;

    let schema: Value = serde_json::from_str(json_schema()).expect("the schema is JSON");
    let example = example();
    let tables = [
        ("", "# Settings"),
        ("/properties/client", "## `[client]`"),
        ("/$defs/limit", "## `[limits.NAME]`"),
        ("/$defs/subject", "## `[[subjects]]`"),
        ("/$defs/route", "## `[[routes]]`"),
        ("/$defs/descriptor", "## `[[descriptors]]`"),
        ("/properties/response", "## `[response]`"),
        ("/properties/penalty", "## `[penalty]`"),
    ];
    for (at, title) in tables {
        let part = PAGE.split(&format!("\n{title}\n")).nth(1).expect(title);
        let part = part.split("\n## ").next().expect("a part");
        let table = schema.pointer(at).and_then(|table| table["properties"].as_object());
        for setting in table.expect("a table of properties").keys() {
            let is_table = [
                "client",
                "limits",
                "tiers",
                "subjects",
                "routes",
                "descriptors",
                "response",
                "penalty",
                "server",
            ]
            .contains(&setting.as_str());
            if at.is_empty() && is_table {
                assert!(PAGE.contains(&format!("[{setting}")), "no part on {setting}");
                continue;
            }
            let rows = part.lines().filter(|line| {
                let first = line.strip_prefix("| ").and_then(|line| line.split(" | ").next());
                first.is_some_and(|first| first.contains(&format!("`{setting}`")))
            });
            assert!(rows.count() > 0, "{title}: no row for {setting}");
            assert!(part.contains(&format!("\n{setting} = ")), "{title}: no example of {setting}");
            assert!(example.contains(setting.as_str()) || setting == "trusted_hops", "{setting}");
        }
    }
}
