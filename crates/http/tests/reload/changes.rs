//! What a reload says that it has changed.

use tollgate_http::reload::Changes;

use crate::{decide, facts, limiter, policy};

const BEFORE: &str = r#"
    always = ["site"]
    [limits.site]
    quota = "100/s"
    [limits.calls]
    quota = "10/min"
    key = "address"
    [limits.trial]
    quota = "5/h"
    [limits.login]
    quota = "5/h"
    key = "address"
    [tiers.free]
    calls = "10/min"
    [tiers.premium]
    calls = "60/min"
    [[subjects]]
    user = "alice"
    tier = "premium"
    [[routes]]
    name = "login"
    path = "/login"
    limits = ["login", "trial"]
    [[routes]]
    name = "items"
    path = "/items"
    limits = ["calls"]
"#;

#[test]
fn everything_that_changes_is_told() {
    let after = BEFORE
        .replace("100/s", "100/s burst 200")
        .replace("quota = \"5/h\"\n    key", "quota = \"6/h\"\n    algorithm = 'strict'\n    key")
        .replace("[limits.trial]", "[limits.export]")
        .replace("\"trial\"]", "\"export\"]\n    cost = 2")
        .replace("calls = \"60/min\"", "calls = \"90/min\"")
        .replace("[tiers.free]", "[tiers.basic]")
        .replace("user = \"alice\"", "user = \"bob\"")
        .replace("path = \"/items\"", "path = \"/items\"\n    method = \"GET\"");
    let changes = Changes::between(&policy(BEFORE), &policy(&after));
    assert_eq!(
        changes.to_string(),
        "limits: 2 kept, 1 new (export), 1 ended (trial), 1 restarted (login); \
         quota of `site`: 100/s -> 100/s burst 200; quota of `login`: 5/h -> 6/h; \
         quota of `calls` in the tier `premium`: 60/min -> 90/min; routes: 2 changed; \
         tiers: 1 added, 1 removed, 1 changed; subjects: 1 added, 1 removed"
    );
    assert_eq!(changes.kept().collect::<Vec<_>>(), ["site", "calls"]);
    assert_eq!((changes.routes().changed, changes.tiers().added), (2, 1));
}

#[test]
fn the_other_parts_are_named() {
    let text =
        format!("default_tier = 'free'\nmode = 'shadow'\n{BEFORE}[client]\nipv6_prefix = 56\n");
    let changes = Changes::between(&policy(BEFORE), &policy(&text));
    // Another prefix makes other keys.
    assert_eq!(changes.restarted().collect::<Vec<_>>(), ["site", "calls", "trial", "login"]);
    assert_eq!(changes.others(), ["mode", "default_tier", "client"]);
    assert!(changes.to_string().ends_with("; changed: mode, default_tier, client"), "{changes}");

    let (first, second) = BEFORE.split_once("[[routes]]").unwrap();
    let (login, items) = second.split_once("[[routes]]").unwrap();
    let swapped = format!("{first}[[routes]]{items}[[routes]]{login}");
    let changes = Changes::between(&policy(BEFORE), &policy(&swapped));
    assert_eq!(changes.to_string(), "limits: 4 kept; changed: order of routes");
    let same = Changes::between(&policy(BEFORE), &policy(BEFORE));
    assert_eq!(same.to_string(), "nothing has changed");
}

#[test]
fn long_lists_are_shortened() {
    let limits = |count: usize, quota: &str| {
        let limit = |n: usize| format!("[limits.l{n:03}]\nquota = '{quota}'\n");
        policy(&(0..count).map(limit).collect::<String>())
    };
    let changes = Changes::between(&limits(20, "1/s"), &limits(60, "2/s"));
    let text = changes.to_string();
    assert!(text.contains("40 new (l020, l021, l022, l023, l024, l025, l026, l027, and 32 more)"));
    assert!(text.ends_with("quota of `l007`: 1/s -> 2/s; 12 further quotas"), "{text}");
    assert_eq!(changes.quotas().len(), 20);
}

#[test]
fn ten_thousand_subjects_are_replaced() {
    let subjects = |from: usize, quota: u64| {
        let limit = "[limits.calls]\nquota = '1/h'\nkey = 'user'\nmissing = 'share'\n";
        let entry = |n: usize| {
            let limits = format!("{{ calls = '{quota}/h' }}");
            format!("[[subjects]]\nuser = 'user-{n}'\nlimits = {limits}\n")
        };
        let entries: Vec<String> = (from..from + 10_000).map(entry).collect();
        policy(&format!("always = ['calls']\n{limit}{}", entries.concat()))
    };
    let (limiter, _clock) = limiter(&subjects(0, 10));
    let user = |name: &str| {
        let decision = decide(&limiter, &facts("/").user(name));
        let limit = decision.limits().next().expect("a limit");
        (limit.quota().burst_size(), limit.remaining())
    };
    assert_eq!((user("user-0"), user("user-9999")), ((10, 9), (10, 9)));
    let changes = limiter.reload(&subjects(5_000, 20)).unwrap();
    let subjects = changes.subjects();
    assert_eq!((subjects.added, subjects.removed, subjects.changed), (5_000, 5_000, 5_000));
    // 1 of 10 is 2 of 20, and one more is taken. For a user who is not in the list any more, 1 of
    // 10 is a tenth of the only permit, so no whole one is left.
    assert_eq!((user("user-9999"), user("user-14999")), ((20, 17), (20, 19)));
    assert_eq!(user("user-0"), (1, 0));
}
