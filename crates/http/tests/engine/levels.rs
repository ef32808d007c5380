//! What one subject has left, as a status page tells it.

use std::sync::Arc;
use std::time::Duration;

use tollgate_http::engine::store::Memory;
use tollgate_http::{Facts, HttpLimiter, Outcome};

use crate::scene::{builder, decide, limiter, policy};
use crate::stores::{LaterStore, block_on};

const POLICY: &str = r#"
    [limits.calls]
    quota = "2/h"
    key = "caller"
    [limits.tries]
    quota = "1/h"
    key = "caller"
    mode = "shadow"
    [[routes]]
    path = "/calls"
    limits = ["calls"]
    [[routes]]
    path = "/tries"
    limits = ["tries"]
    [penalty]
    key = "caller"
    after = "1/h"
    block = "1min"
"#;

fn outcome(limiter: &HttpLimiter, user: &str) -> (Outcome, Option<Duration>, Vec<String>) {
    let levels = block_on(limiter.levels(&Facts::new("", "").user(user)));
    let refused_by = levels.refused_by().map(str::to_owned).collect();
    (levels.outcome(), levels.retry_after(), refused_by)
}

/// The outcome was `Allowed` also if no request of the subject could pass.
#[test]
fn a_subject_without_permits_of_a_limit_is_refused() {
    let (limiter, clock) = limiter(&policy(POLICY));
    let ask = |path| decide(&limiter, &Facts::new("GET", path).user("alice"));
    let free = (Outcome::Allowed, None, Vec::new());
    ask("/calls");
    ask("/tries");
    assert_eq!(outcome(&limiter, "alice"), free, "one is left, and a shadow limit refuses nothing");
    ask("/calls");
    let wait = Some(Duration::from_secs(1800));
    let refused = (Outcome::Refused, wait, vec!["calls".to_owned()]);
    // However often it is looked: looks are no refusals, which a penalty would follow.
    for _ in 0..9 {
        assert_eq!(outcome(&limiter, "alice"), refused);
    }
    assert_eq!(outcome(&limiter, "bob"), free);
    assert_eq!(limiter.penalties(), []);
    clock.advance(Duration::from_secs(1800));
    assert_eq!(outcome(&limiter, "alice"), free);
}

#[test]
fn a_store_that_answers_later_tells_the_same() {
    let (builder, clock) = builder(&policy(POLICY));
    let store = LaterStore::new(Memory::with_clock(Arc::new(clock)), 2);
    let limiter = builder.store(store).build().unwrap();
    for left in (0..2).rev() {
        let decision = block_on(limiter.decide(&Facts::new("GET", "/calls").user("alice")));
        assert_eq!(decision.limits().map(|limit| limit.remaining()).collect::<Vec<_>>(), [left]);
    }
    assert_eq!(outcome(&limiter, "alice").0, Outcome::Refused);
    assert_eq!(outcome(&limiter, "bob").0, Outcome::Allowed);
}
