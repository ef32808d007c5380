//! What stays when the store is opened for another policy (rules L3 and L5).

use tollgate_http::address::Prefixes;
use tollgate_http::engine::store::{Identity, LimitSpec, Verb};
use tollgate_http::policy::{Algorithm, KeyPart};

use crate::scene::{ALGORITHMS, Make, Scene, bucket, charge, limit};

/// A limit that is the same keeps its levels, wherever it stands in the list.
pub(crate) fn the_same_limit_keeps_its_levels(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let one = limit("one", algorithm, &["10/h"]);
        let mut scene = Scene::new(make, &[one.clone(), bucket("two", &["9/h"])]);
        scene.take(&charge(0, "alice", 4));
        scene.take(&charge(1, "alice", 2));
        scene.reopen(&[bucket("new", &["7/h"]), bucket("two", &["9/h"]), one]);
        let lefts = [0, 1, 2].map(|index| scene.left(&charge(index, "alice", 0)));
        assert_eq!(lefts, [7, 7, 6], "{algorithm:?}");
    }
}

/// A new quota carries the used share over, the limit's own or another.
pub(crate) fn a_new_quota_carries_over(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let mut scene = Scene::new(make, &[limit("a", algorithm, &["10/h", "50/h"])]);
        scene.take(&charge(0, "alice", 6));
        scene.reopen(&[limit("a", algorithm, &["20/h"])]);
        assert_eq!(scene.left(&charge(0, "alice", 0)), 8, "{algorithm:?}");
        scene.reopen(&[limit("a", algorithm, &["5/h", "100/h"])]);
        assert_eq!(scene.left(&charge(0, "alice", 0)), 2, "{algorithm:?}");
        let large = crate::scene::under(1, charge(0, "alice", 0));
        assert_eq!(scene.left(&large), 40, "{algorithm:?}");
    }
}

/// Another key, algorithm, prefix or name is another limit, which begins full.
pub(crate) fn another_limit_begins_full(make: Make<'_>) {
    for other in other_limits() {
        let mut scene = Scene::new(make, &[bucket("a", &["10/h"])]);
        scene.take(&charge(0, "alice", 4));
        scene.reopen(std::slice::from_ref(&other));
        assert_eq!(scene.left(&charge(0, "alice", 0)), 10, "{:?}", other.identity);
    }
}

/// A limit that was left out has ended, and begins full when it comes back.
pub(crate) fn a_limit_that_comes_back_begins_full(make: Make<'_>) {
    for other in other_limits() {
        let before = [bucket("a", &["10/h"])];
        let mut scene = Scene::new(make, &before);
        scene.take(&charge(0, "alice", 4));
        scene.reopen(std::slice::from_ref(&other));
        scene.reopen(&before);
        assert_eq!(scene.left(&charge(0, "alice", 0)), 10, "{:?}", other.identity);
    }
}

/// Limits that are not the limit `a` per user.
fn other_limits() -> Vec<LimitSpec> {
    let mut others = vec![bucket("a", &["10/h"]); 5];
    others[0].identity.algorithm = Algorithm::FixedWindow;
    others[1].identity.key = vec![KeyPart::Caller];
    others[2].identity.key = vec![KeyPart::User, KeyPart::Route];
    others[3].identity.prefixes = Prefixes { ipv4: 24, ..Prefixes::default() };
    others[4].identity = Identity::new("b", vec![KeyPart::User], Algorithm::TokenBucket);
    others
}

/// Buckets of the policy before work on for requests that still use them, on the same levels.
pub(crate) fn both_policies_share_levels(make: Make<'_>) {
    let mut scene = Scene::new(make, &[bucket("a", &["10/h"])]);
    let before = scene.buckets.clone();
    scene.reopen(&[bucket("new", &["1/h"]), bucket("a", &["10/h"])]);
    let old = crate::scene::ask(&*before, Verb::Take, &[charge(0, "alice", 4)]);
    assert_eq!(old.expect("an answer")[0].remaining, 6);
    assert_eq!(scene.take(&charge(1, "alice", 1)).remaining, 5);
}

/// A limit that a policy leaves out has ended for the next one, even if requests still use it.
pub(crate) fn a_limit_that_was_left_out_begins_full(make: Make<'_>) {
    let limits = [bucket("a", &["10/h"])];
    let mut scene = Scene::new(make, &limits);
    let in_use = scene.buckets.clone();
    scene.take(&charge(0, "alice", 4));
    scene.reopen(&[bucket("new", &["1/h"])]);
    scene.reopen(&limits);
    assert_eq!(scene.left(&charge(0, "alice", 0)), 10);
    let old = crate::scene::ask(&*in_use, Verb::Take, &[charge(0, "alice", 1)]);
    assert_eq!(old.expect("an answer")[0].remaining, 5);
    assert_eq!(scene.left(&charge(0, "alice", 0)), 10);
}

/// A policy that can't be opened changes nothing.
pub(crate) fn a_failed_opening_changes_nothing(make: Make<'_>) {
    let mut scene = Scene::new(make, &[bucket("a", &["10/h"]), bucket("b", &["10/h"])]);
    scene.take(&charge(0, "alice", 4));
    // A fixed window has no burst of its own.
    let bad = limit("bad", Algorithm::FixedWindow, &["10/h burst 3"]);
    let error = scene.store.open(&[bucket("a", &["2/h"]), bad]).map(drop).expect_err("no window");
    assert!(error.to_string().contains("bad"), "{error}");
    assert_eq!(scene.left(&charge(0, "alice", 0)), 6);
    scene.reopen(&[bucket("b", &["10/h"]), bucket("a", &["10/h"])]);
    assert_eq!(scene.left(&charge(1, "alice", 0)), 6);
}
