//! Clocks that step back, and the end of time.

use std::time::Duration;

use tollgate::shared::store::Verb;
use tollgate::{Clock, Quota, Timestamp};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, ask, namespace, patient};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn a_step_back_brings_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let start = scene.clock.now();
        scene.pass(10 * SECOND);
        assert!(users.allows("alice", 10), "{rule:?}");
        for earlier in [9 * SECOND, 5 * SECOND, Duration::ZERO] {
            scene.clock.set(start + earlier);
            assert!(!users.allows("alice", 1), "{rule:?}");
        }
        scene.clock.set(start + 10 * SECOND);
        assert!(!users.allows("alice", 1), "{rule:?}");
        scene.pass(3 * SECOND);
    }
}

pub(crate) fn a_step_back_does_not_lengthen_a_wait(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 10));
    let now = scene.clock.now();
    scene.clock.set(Timestamp::ZERO + (now - Timestamp::ZERO - SECOND));
    let answer = users.ask(patient(ask(Verb::Take, 1, "alice", &[1]), 100 * MILLI));
    scene.assert_rounded_up(super::scene::after(&answer), 100 * MILLI);
    scene.clock.set(now + 100 * MILLI);
    assert!(!users.allows("alice", 1));
    scene.pass(100 * MILLI);
    assert!(users.allows("alice", 1));
}
