//! Quotas that change, and tiers.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Charge, LimitSpec, Namespace, Part, Rule, Verb};

use super::StoreUnderTest;
use super::scene::{Opened, SECOND, Scene, ask, is_done, namespace};

const TEN: Quota = Quota::per_minute(10);

pub(crate) fn who_opens_the_same_shares_the_buckets(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let (one, other) = (scene.bucket(TEN), scene.bucket(TEN));
    assert!(one.allows("alice", 6));
    assert!(!other.allows("alice", 5) && other.allows("alice", 4));
    assert!(!one.allows("alice", 1));
}

pub(crate) fn the_used_share_is_carried_over(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let open =
            |n| scene.open(&[namespace(&format!("{rule:?}"), &[(rule, Quota::per_minute(n))])]);
        let (ten, hundred, three) = (open(10), open(100), open(3));
        assert!(ten.allows("alice", 4));
        // A look changes no quota.
        assert_eq!(three.level("alice").used, 2, "{rule:?}: 1.2 of 3, rounded up");
        let level = hundred.level("alice");
        assert!(level.used == 40 || level.used == 41, "{rule:?}: {}", level.used);
        let level = hundred.take("alice", 10).levels[0];
        assert!((50..=51).contains(&level.used), "{rule:?}: {}", level.used);
        // At most half of each is left, and at least half but one.
        assert!((5..=6).contains(&ten.level("alice").used), "{rule:?}");
        assert!(!ten.allows("alice", 6) && ten.allows("alice", 4), "{rule:?}");
        assert!(!three.allows("alice", 1), "{rule:?}: at least 2.7 of 3 are in use");
    }
}

pub(crate) fn to_and_fro_gains_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let open =
            |n| scene.open(&[namespace(&format!("{rule:?}"), &[(rule, Quota::per_minute(n))])]);
        let all = [open(10), open(1_000), open(7), open(99)];
        // One part in a hundred is taken of each, in turn, until nothing is left.
        let mut share = 0.0;
        for round in 0_u32..4_100 {
            let users = &all[round as usize % all.len()];
            let answer = users.take("alice", 1);
            if is_done(&answer) {
                share += 1.0 / [10.0, 1_000.0, 7.0, 99.0][round as usize % all.len()];
            }
        }
        assert!(share <= 1.000_001, "{rule:?}: {share} times a burst");
        assert!(share >= 0.5, "{rule:?}: {share} of a burst");
    }
}

pub(crate) fn a_refusal_changes_no_quota(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    // An hour under the first quota is nothing, and under the second it is all.
    let slow = scene.bucket(Quota::per_day(10));
    let fast = scene.bucket(Quota::per_second(10));
    assert!(slow.allows("alice", 10));
    for _ in 0..3 {
        assert!(!fast.allows("alice", 1));
        fast.ask(ask(Verb::Look, 1, "alice", &[1]));
        fast.ask(ask(Verb::Take, 1, "alice", &[0]));
    }
    scene.pass(10 * SECOND);
    assert!(!slow.allows("alice", 1), "the bucket is still under the slow quota");
    assert_eq!(slow.level("alice").used, 10);
}

/// A namespace of one limit with two quotas.
fn tiers<'a>(scene: &'a Scene<'_>, rule: Rule, quotas: [Quota; 2]) -> Opened<'a> {
    let mut limit = LimitSpec::new("requests", rule, quotas[0]);
    limit.quotas.push(quotas[1]);
    scene.open(&[Namespace::new(format!("{rule:?}"), vec![limit])])
}

pub(crate) fn tiers_share_one_bucket(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = tiers(&scene, rule, [TEN, Quota::per_minute(100)]);
        let take = |n, quota| {
            let mut charge = Charge::new(1);
            charge.quota = quota;
            let part = Part::new(0, "alice", [charge]);
            users.ask(tollgate::shared::store::Ask::new(Verb::Take, n, part))
        };
        assert!(is_done(&take(50, 1)), "{rule:?}");
        assert!(!is_done(&take(6, 0)) && is_done(&take(4, 0)), "{rule:?}");
        let level = take(11, 1).levels[0];
        assert!((90..=92).contains(&level.used), "{rule:?}: {}", level.used);
        scene.pass(Duration::from_secs(600));
        assert!(is_done(&take(100, 1)), "{rule:?}");
    }
}

pub(crate) fn other_limits_have_other_buckets(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let open = |name: &str, rule| {
        let limit = LimitSpec::new(name, rule, TEN);
        scene.open(&[Namespace::new("users", vec![limit])])
    };
    let users = open("requests", Rule::TokenBucket);
    assert!(users.allows("alice", 10) && !users.allows("alice", 1));
    assert!(open("tokens", Rule::TokenBucket).allows("alice", 10));
    for rule in store.rules().into_iter().filter(|rule| *rule != Rule::TokenBucket) {
        assert!(open("requests", rule).allows("alice", 10), "{rule:?}");
    }
    assert!(!users.allows("alice", 1));
}
