//! Who reloads the same policy changes nothing that any request can see.

use std::time::Duration;

use proptest::prelude::*;
use tollgate_http::{HttpLimiter, Policy};

use crate::{decide, facts, limiter, policy};

const POLICY: &str = r#"
    always = ["site", "trial"]
    default_tier = "free"
    [limits.site]
    quota = "20/s burst 30"
    [limits.calls]
    quota = "4/min burst 6"
    key = "caller"
    [limits.windows]
    quota = "5/min"
    key = ["user", "route"]
    missing = "address"
    algorithm = "fixed-window"
    [limits.slides]
    quota = "5/min"
    key = "user"
    missing = "share"
    algorithm = "sliding-window"
    [limits.strict]
    quota = "6/min"
    key = "caller"
    algorithm = "strict"
    [limits.trial]
    quota = "3/min"
    key = "caller"
    mode = "shadow"
    [tiers.free]
    calls = "4/min burst 6"
    [tiers.premium]
    calls = "9/min"
    windows = "7/min"
    [[subjects]]
    user = "alice"
    tier = "premium"
    limits = { slides = "8/min" }
    [[routes]]
    path = "/login"
    limits = ["calls", "strict"]
    charge = [401]
    [[routes]]
    path = "/{*rest}"
    limits = ["calls", "windows", "slides"]
    cost = 2
    costs = { windows = 1 }
    [penalty]
    key = "caller"
    after = "3/min"
    block = "20s"
    growth = 2
    max = "2min"
    forget = "10min"
"#;

/// One request, the time that passes before it, and whether the policy is reloaded before it.
#[derive(Clone, Debug)]
struct Step {
    wait: u64,
    user: Option<usize>,
    path: usize,
    tier: bool,
    status: u16,
    reload: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let who = (proptest::option::of(0..3_usize), 0..2_usize, any::<bool>());
    (0..15_000_u64, who, prop_oneof![Just(200), Just(401)], any::<bool>()).prop_map(
        |(wait, (user, path, tier), status, reload)| Step {
            // Half of the requests come at once after another.
            wait: wait.saturating_sub(7_500),
            user,
            path,
            tier,
            status,
            reload,
        },
    )
}

/// Everything that can be seen of a request and its limiter.
fn seen(limiter: &HttpLimiter, step: &Step) -> String {
    let mut facts = facts(["/login", "/items"][step.path]);
    if let Some(user) = step.user {
        facts = facts.user(["alice", "bob", "carol"][user]);
    }
    if step.tier {
        facts = facts.tier("premium");
    }
    let mut decision = decide(limiter, &facts);
    let at_first = format!("{decision:?} {:?}", decision.status());
    if decision.is_allowed() {
        limiter.answered(&mut decision, step.status);
    }
    let mut penalties: Vec<String> =
        limiter.penalties().iter().map(|(key, rest)| format!("{key} {rest:?}")).collect();
    penalties.sort();
    format!("{at_first}\n{decision:?}\n{penalties:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_policy_reloaded_is_invisible(
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let before = policy(POLICY);
        // Not a clone, but read anew.
        let again: Policy = before.to_string().parse().unwrap();
        let (reloaded, clock) = limiter(&before);
        let (untouched, other_clock) = limiter(&before);
        for step in &steps {
            clock.advance(Duration::from_millis(step.wait));
            other_clock.advance(Duration::from_millis(step.wait));
            if step.reload {
                let changes = reloaded.reload(&again).unwrap();
                prop_assert!(changes.is_empty(), "{changes}");
            }
            prop_assert_eq!(seen(&reloaded, step), seen(&untouched, step), "{:?}", step);
        }
    }
}
