//! Levels that are raised to what somebody has reported.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Receipt, Rule, StoreError, Verb};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, after, ask, ask_all, namespace, part, with_receipt};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn what_is_reported_twice_is_counted_once(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        assert!(users.allows("alice", 2));
        for _ in 0..2 {
            let answer = users.ask(ask(Verb::Raise, 1, "alice", &[7]));
            assert_eq!((after(&answer), answer.count), (Duration::ZERO, 1));
            let level = answer.levels[0];
            assert_eq!((level.used, level.remaining), (7, 3), "{rule:?}");
            assert_eq!(level.receipt, Receipt::default());
        }
        assert_eq!(users.level("alice").used, 7);
        assert!(!users.allows("alice", 4) && users.allows("alice", 3));
    }
}

pub(crate) fn a_level_is_never_lowered(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        assert!(users.allows("alice", 6));
        for reported in [0, 1, 5, 6] {
            let answer = users.ask(ask(Verb::Raise, 1, "alice", &[reported]));
            assert_eq!(answer.levels[0].used, 6, "{rule:?}, {reported}");
        }
        // Nothing was known of this subject, and nothing is reported.
        assert_eq!(users.ask(ask(Verb::Raise, 0, "bob", &[5])).levels[0].used, 0);
    }
}

pub(crate) fn more_than_the_burst_is_debt(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    users.ask(ask(Verb::Raise, 3, "alice", &[10]));
    scene.assert_rounded_up(users.take("alice", 1).levels[0].wait, 2_100 * MILLI);
    // Half a second later, somebody reports what is known.
    scene.pass(SECOND / 2);
    assert_eq!(users.ask(ask(Verb::Raise, 1, "alice", &[25])).levels[0].used, 25);
    scene.pass(1_500 * MILLI);
    assert!(!users.allows("alice", 1));
    scene.pass(100 * MILLI);
    assert!(users.allows("alice", 1));
}

pub(crate) fn a_quota_of_another_process_is_carried_over(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let (old, new) = (scene.bucket(TEN), scene.bucket(Quota::per_second(100)));
    assert!(old.allows("alice", 5));
    assert_eq!(new.ask(ask(Verb::Raise, 1, "alice", &[40])).levels[0].used, 50);
    assert_eq!(new.ask(ask(Verb::Raise, 1, "alice", &[60])).levels[0].used, 60);
    assert_eq!(old.level("alice").used, 6);
}

pub(crate) fn what_was_taken_before_is_still_handed_back(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let receipt = users.take("alice", 4).levels[0].receipt;
        // What was raised came after the charge, and stays.
        users.ask(ask(Verb::Raise, 1, "alice", &[9]));
        let back = with_receipt(ask(Verb::HandBack, 4, "alice", &[1]), receipt);
        let used = users.ask(back).levels[0].used;
        assert_eq!(used, 5, "{rule:?}");
    }
}

pub(crate) fn a_raise_without_end_is_refused(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.users(&[(Rule::TokenBucket, TEN), (Rule::TokenBucket, Quota::per_day(1))]);
    assert_eq!(users.left("alice", 2), [10, 1]);
    for (count, cost) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let asks = [
            ask(Verb::Raise, count, "alice", &[1, cost]),
            ask_all(Verb::Raise, count, [part("bob", &[1, 0]), part("alice", &[1, cost])]),
        ];
        for ask in asks {
            let answer = users.try_ask(ask);
            assert!(matches!(answer, Err(StoreError::Misfit(_))), "{answer:?}");
        }
    }
    assert_eq!((users.left("alice", 2), users.left("bob", 2)), (vec![10, 1], vec![10, 1]));
}
