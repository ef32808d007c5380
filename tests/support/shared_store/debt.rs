//! Taking permits that are not there.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Rule, StoreError, Verb};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, after, ask, ask_all, namespace, part};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn what_is_missing_becomes_debt(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let answer = users.ask(ask(Verb::Consume, 4, "alice", &[1]));
        assert_eq!((after(&answer), answer.count), (Duration::ZERO, 4));
        assert_eq!((answer.levels[0].used, answer.levels[0].remaining), (4, 6), "{rule:?}");
        let answer = users.ask(ask(Verb::Consume, 3, "alice", &[9]));
        assert_eq!((answer.levels[0].used, answer.levels[0].remaining), (31, 0), "{rule:?}");
        assert_eq!(users.level("alice").used, 31);
    }
}

pub(crate) fn a_debt_delays_everybody(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    users.ask(ask(Verb::Consume, 30, "alice", &[1]));
    let answer = users.take("alice", 1);
    scene.assert_rounded_up(answer.levels[0].wait, 2_100 * MILLI);
    scene.pass(2 * SECOND);
    assert!(!users.allows("alice", 1));
    scene.pass(100 * MILLI);
    assert!(users.allows("alice", 1));
}

pub(crate) fn a_debt_without_end_is_refused(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.users(&[(Rule::TokenBucket, TEN), (Rule::TokenBucket, Quota::per_day(1))]);
    assert_eq!(users.left("alice", 2), [10, 1]);
    for (count, cost) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let asks = [
            ask(Verb::Consume, count, "alice", &[1, cost]),
            ask_all(Verb::Consume, count, [part("bob", &[1, 0]), part("alice", &[1, cost])]),
        ];
        for ask in asks {
            let answer = users.try_ask(ask);
            assert!(matches!(answer, Err(StoreError::Misfit(_))), "{answer:?}");
        }
    }
    // Nothing was taken, from no limit.
    assert_eq!((users.left("alice", 2), users.left("bob", 2)), (vec![10, 1], vec![10, 1]));
}
