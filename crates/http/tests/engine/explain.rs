//! To explain a request tells what a decision would be, and takes nothing.

use std::time::Duration;

use tollgate_http::Outcome;

use crate::scene::{decide, facts, limiter, policy};

#[test]
fn a_caller_in_a_penalty_is_told_so_and_nothing_counts() {
    let text = "always = ['calls']\n[limits.calls]\nquota = '1/day'\n\
         [penalty]\nkey = 'address'\nafter = '1/day'\nblock = '1min'\nmax = '1h'\nforget = '1day'\n";
    let (limiter, clock) = limiter(&policy(text));
    let explain = || limiter.explain(&facts("/")).expect("memory answers at once");
    assert!(decide(&limiter, &facts("/")).is_allowed());
    for _ in 0..5 {
        // Not one of these refusals counts.
        assert_eq!((explain().outcome(), explain().status()), (Outcome::Refused, Some(429)));
    }
    assert!(!decide(&limiter, &facts("/")).is_penalty(), "the refusal that is put up with");
    assert!(decide(&limiter, &facts("/")).is_penalty());
    assert_eq!((explain().outcome(), explain().status()), (Outcome::Penalty, Some(429)));
    assert!(explain().to_string().contains("429 (Penalty)"), "{}", explain());
    clock.advance(Duration::from_secs(60));
    assert_eq!(explain().outcome(), Outcome::Refused);
}

#[test]
fn an_unlimited_quota_refuses_nobody_without_a_key() {
    let text = "always = ['users']\n[limits.users]\nquota = '1/day'\nkey = 'user'\n\
         missing = 'refuse'\n[tiers.staff]\nusers = 'unlimited'\n";
    let (limiter, _clock) = limiter(&policy(text));
    let staff = facts("/").tier("staff");
    assert_eq!(decide(&limiter, &staff).outcome(), Outcome::Allowed);
    assert_eq!(limiter.explain(&staff).unwrap().outcome(), Outcome::Allowed);
    assert_eq!(limiter.explain(&facts("/")).unwrap().outcome(), Outcome::MissingKey);
}

#[test]
fn the_quota_of_the_tier_is_told_for_a_caller_who_has_not_come_yet() {
    // The limit's own quota could never grant what the tier can, and the other way round.
    for (own, tier) in [("5/h", "100/h"), ("100/h", "50/h")] {
        let text = format!(
            "[limits.calls]\nquota = '{own}'\n[tiers.t]\ncalls = '{tier}'\n\
             [[routes]]\npath = '/'\nlimits = ['calls']\ncost = 5\n"
        );
        let (limiter, _clock) = limiter(&policy(&text));
        let facts = facts("/").tier("t");
        let explained = limiter.explain(&facts).unwrap();
        assert_eq!(explained.outcome(), Outcome::Allowed);
        let left = explained.limits().next().unwrap().remaining();
        assert_eq!(decide(&limiter, &facts).limits().next().unwrap().remaining(), left - 5);
    }
}

#[test]
fn it_changes_no_later_decision() {
    let text = "always = ['site', 'calls']\n[limits.site]\nquota = '7/min burst 20'\n\
         [limits.calls]\nquota = '3/min'\nkey = 'address'\nalgorithm = 'sliding-window'\n\
         [limits.trial]\nquota = '2/min'\nmode = 'shadow'\n\
         [[routes]]\npath = '/'\nlimits = ['trial']\n";
    let policy = policy(text);
    let ((one, clock), (other, other_clock)) = (limiter(&policy), limiter(&policy));
    for step in 0_u64..200 {
        for time in [&clock, &other_clock] {
            time.advance(Duration::from_millis(step * 37 % 1_000 * 13));
        }
        for _ in 0..step % 4 {
            let explained = one.explain(&facts("/")).unwrap();
            assert_eq!(explained.limits().len(), 3);
        }
        let told = |limiter| {
            let decision = decide(limiter, &facts("/"));
            let limits = decision.limits().map(|limit| format!("{limit:?}"));
            (decision.status(), decision.retry_after(), limits.collect::<Vec<_>>())
        };
        assert_eq!(told(&one), told(&other));
    }
    assert_eq!(one.most_limited("calls", 9).len(), other.most_limited("calls", 9).len());
}
