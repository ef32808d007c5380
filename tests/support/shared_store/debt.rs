//! Taking permits that are not there.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Receipt, Rule, StoreError, Verb};

use super::StoreUnderTest;
use super::scene::{
    MILLI, Opened, SECOND, Scene, after, ask, ask_all, namespace, part, patient, with_receipt,
};

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

/// What is in use once `n` permits of a charge were handed back.
fn hand_back(users: &Opened<'_>, n: u64, receipt: Receipt) -> u64 {
    users.ask(with_receipt(ask(Verb::HandBack, n, "alice", &[1]), receipt)).levels[0].used
}

/// Makes a store remember more of alice than a level: nothing, what was given back, or another
/// quota. She has all permits then.
fn with_a_past<'a>(scene: &'a Scene<'_>, past: u32) -> Opened<'a> {
    let users = scene.bucket(TEN);
    match past {
        0 => {}
        1 => {
            let receipt = users.take("alice", 5).levels[0].receipt;
            assert!(users.allows("alice", 5));
            assert_eq!(hand_back(&users, 5, receipt), 5);
            scene.pass(500 * MILLI);
        }
        _ => {
            let other = scene.bucket(Quota::per(7, 3 * SECOND).burst(12));
            assert!(other.allows("alice", 12));
            scene.pass(SECOND);
            users.ask(ask(Verb::Raise, 1, "alice", &[10]));
            scene.pass(SECOND);
        }
    }
    assert_eq!(users.level("alice").remaining, 10);
    users
}

/// Random asks have found it: nobody waits for the permits of a debt, so it keeps nobody from
/// handing back, whatever the store remembers from before.
pub(crate) fn a_charge_before_a_debt_is_handed_back(store: &dyn StoreUnderTest) {
    for (past, verb) in [0, 1, 2].map(|past| [(past, Verb::Raise), (past, Verb::Consume)]).concat()
    {
        let scene = Scene::new(store);
        let users = with_a_past(&scene, past);
        let receipt = users.take("alice", 4).levels[0].receipt;
        let more = if verb == Verb::Raise { 16 } else { 12 };
        assert_eq!(users.ask(ask(verb, 1, "alice", &[more])).levels[0].used, 16);
        assert_eq!(hand_back(&users, 4, receipt), 12, "{verb:?}, past {past}");
        // The debt itself stays, but for what refill brings back.
        scene.pass(100 * MILLI);
        assert_eq!(hand_back(&users, 4, receipt), 11, "{verb:?}, past {past}");
    }
}

pub(crate) fn who_waits_in_a_debt_is_not_overtaken(store: &dyn StoreUnderTest) {
    for (past, verb) in [0, 1, 2].map(|past| [(past, Verb::Raise), (past, Verb::Consume)]).concat()
    {
        let scene = Scene::new(store);
        let users = with_a_past(&scene, past);
        let first = users.take("alice", 5).levels[0].receipt;
        let waits = users.ask(patient(ask(Verb::Take, 8, "alice", &[1]), SECOND));
        scene.assert_rounded_up(after(&waits), 300 * MILLI);
        let more = if verb == Verb::Raise { 20 } else { 7 };
        assert_eq!(users.ask(ask(verb, 1, "alice", &[more])).levels[0].used, 20);
        assert_eq!(hand_back(&users, 5, first), 20, "{verb:?}, past {past}");
        // Somebody else waits behind the debt, and not in vain.
        let waits = users.ask(patient(ask(Verb::Take, 1, "alice", &[1]), 2 * SECOND));
        scene.assert_rounded_up(after(&waits), 1_100 * MILLI);
        scene.pass(SECOND);
        assert_eq!(hand_back(&users, 5, first), 11, "{verb:?}, past {past}");
        scene.pass(100 * MILLI);
        assert_eq!(users.level("alice").used, 10, "{verb:?}, past {past}");
    }
}

/// As of a moment at which nobody waits any more, charges come back again, also in debt.
pub(crate) fn who_has_waited_holds_nobody_up(store: &dyn StoreUnderTest) {
    for verb in [Verb::Raise, Verb::Consume] {
        let scene = Scene::new(store);
        let users = scene.bucket(TEN);
        assert!(users.allows("alice", 8));
        let last = users.ask(patient(ask(Verb::Take, 6, "alice", &[1]), SECOND));
        scene.assert_rounded_up(after(&last), 400 * MILLI);
        let more = if verb == Verb::Raise { 24 } else { 10 };
        assert_eq!(users.ask(ask(verb, 1, "alice", &[more])).levels[0].used, 24);
        let receipt = last.levels[0].receipt;
        scene.pass(300 * MILLI);
        assert_eq!(hand_back(&users, 6, receipt), 21, "{verb:?}");
        scene.pass(100 * MILLI);
        assert_eq!(hand_back(&users, 6, receipt), 14, "{verb:?}");
    }
}
