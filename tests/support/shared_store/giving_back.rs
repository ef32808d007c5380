//! Credit, reset, hand back and cancel.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Receipt, Rule, Verb};

use super::StoreUnderTest;
use super::scene::{
    MILLI, Opened, SECOND, Scene, after, ask, is_done, namespace, patient, remaining, with_receipt,
};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

/// Gives back `n` permits of a charge, and returns the receipt for its rest.
fn give(users: &Opened<'_>, verb: Verb, n: u64, receipt: Receipt) -> Receipt {
    let answer = users.ask(with_receipt(ask(verb, n, "alice", &[1]), receipt));
    assert!(is_done(&answer));
    answer.levels[0].receipt
}

pub(crate) fn a_credit_stops_at_the_burst(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        assert!(users.allows("alice", 7));
        let answer = users.ask(ask(Verb::Credit, 2, "alice", &[2]));
        assert_eq!((answer.count, remaining(&answer)), (2, vec![7]), "{rule:?}");
        let answer = users.ask(ask(Verb::Credit, 100, "alice", &[1]));
        assert_eq!(remaining(&answer), [10], "{rule:?}");
        // Debt is paid off too.
        users.ask(ask(Verb::Consume, 15, "alice", &[1]));
        users.ask(ask(Verb::Credit, 6, "alice", &[1]));
        assert_eq!(users.level("alice").used, 9, "{rule:?}");
        users.ask(ask(Verb::Credit, 6, "bob", &[1]));
        assert!(users.allows("bob", 10) && !users.allows("bob", 1), "{rule:?}");
    }
}

pub(crate) fn a_reset_makes_all_limits_full(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.users(&[(Rule::TokenBucket, TEN), (Rule::FixedWindow, Quota::per_hour(7))]);
    users.ask(ask(Verb::Consume, 1, "alice", &[30, 7]));
    assert!(is_done(&users.ask(ask(Verb::Take, 1, "bob", &[1, 1]))));
    // A limit with a cost of zero is reset as well.
    let answer = users.ask(ask(Verb::Reset, 1, "alice", &[1, 0]));
    assert_eq!((is_done(&answer), remaining(&answer)), (true, vec![10, 7]));
    assert_eq!((users.left("alice", 2), users.left("bob", 2)), (vec![10, 7], vec![9, 6]));
}

pub(crate) fn a_charge_is_handed_back(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let receipt = users.take("alice", 8).levels[0].receipt;
    give(&users, Verb::HandBack, 8, receipt);
    assert_eq!(users.level("alice").remaining, 10);
    // Others who took permits meanwhile keep them.
    let receipt = users.take("alice", 4).levels[0].receipt;
    assert!(users.allows("alice", 5));
    give(&users, Verb::HandBack, 4, receipt);
    assert_eq!(users.level("alice").remaining, 5);
    // Not more than the caller says.
    let receipt = users.take("alice", 5).levels[0].receipt;
    give(&users, Verb::HandBack, 2, receipt);
    assert_eq!(users.level("alice").remaining, 2);
}

pub(crate) fn what_refill_has_brought_back_is_not_handed_back(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let receipt = users.take("alice", 8).levels[0].receipt;
    scene.pass(500 * MILLI);
    assert!(users.allows("alice", 7));
    assert_eq!(users.level("alice").used, 10);
    // Three of the eight are not refilled yet.
    give(&users, Verb::HandBack, 8, receipt);
    assert_eq!(users.level("alice").used, 7);
    scene.pass(300 * MILLI);
    assert_eq!(users.level("alice").used, 4);
    give(&users, Verb::HandBack, 8, receipt);
    assert_eq!(users.level("alice").used, 4, "all of them are refilled");
}

/// Bob gives back what he has taken before Carol, and by then the permits of Carol are refilled.
pub(crate) fn what_others_have_given_back_is_not_handed_back_twice(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let bob = users.take("alice", 5).levels[0].receipt;
    let carol = users.take("alice", 5).levels[0].receipt;
    give(&users, Verb::HandBack, 5, bob);
    scene.pass(500 * MILLI);
    assert!(users.allows("alice", 10));
    give(&users, Verb::HandBack, 5, carol);
    assert_eq!(users.level("alice").used, 10);
    // The same after the bucket was full for a moment, and could have been forgotten.
    scene.pass(450 * MILLI);
    let before = users.level("alice").used;
    give(&users, Verb::HandBack, 5, carol);
    assert_eq!(users.level("alice").used, before);
}

/// Otherwise they could be used again just when those permits are used.
pub(crate) fn nothing_is_handed_back_before_permits_for_later(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let receipt = users.take("alice", 10).levels[0].receipt;
    assert!(is_done(&users.ask(patient(ask(Verb::Take, 9, "alice", &[1]), SECOND))));
    give(&users, Verb::HandBack, 10, receipt);
    assert_eq!(users.level("alice").used, 18, "nine were taken behind");
}

pub(crate) fn the_rest_of_a_charge_can_be_handed_back_later(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let receipt = users.take("alice", 10).levels[0].receipt;
    scene.pass(400 * MILLI);
    assert!(users.allows("alice", 4));
    // Six are not refilled yet: three of them, and then three more.
    let receipt = give(&users, Verb::HandBack, 3, receipt);
    assert_eq!(users.level("alice").used, 7);
    let receipt = give(&users, Verb::HandBack, 7, receipt);
    assert_eq!(users.level("alice").used, 4);
    give(&users, Verb::HandBack, 7, receipt);
    assert_eq!(users.level("alice").used, 4);
}

pub(crate) fn a_charge_for_later_is_cancelled(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 10));
    let answer = users.ask(patient(ask(Verb::Take, 6, "alice", &[1]), SECOND));
    give(&users, Verb::Cancel, 6, answer.levels[0].receipt);
    assert_eq!(users.level("alice").used, 10);
    // The next one is as early as if nobody had been before it.
    let answer = users.ask(patient(ask(Verb::Take, 1, "alice", &[1]), SECOND));
    scene.assert_rounded_up(after(&answer), 100 * MILLI);
}

pub(crate) fn what_others_have_taken_behind_is_not_cancelled(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 10));
    let later = |n| {
        let answer = users.ask(patient(ask(Verb::Take, n, "alice", &[1]), 10 * SECOND));
        answer.levels[0].receipt
    };
    let (first, second) = (later(6), later(4));
    assert_eq!(users.level("alice").used, 20);
    give(&users, Verb::Cancel, 6, first);
    assert_eq!(users.level("alice").used, 18, "four were taken behind");
    give(&users, Verb::Cancel, 4, second);
    assert_eq!(users.level("alice").used, 14);
    // What refill has brought back is not given back either.
    let last = later(3);
    scene.pass(1_600 * MILLI);
    give(&users, Verb::Cancel, 3, last);
    assert_eq!(users.level("alice").used, 0);
}

pub(crate) fn a_window_hands_back_while_the_charge_counts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules().into_iter().filter(|rule| *rule != Rule::TokenBucket) {
        for verb in [Verb::HandBack, Verb::Cancel] {
            let users = scene.open(&[namespace(&format!("{rule:?} {verb:?}"), &[(rule, TEN)])]);
            let receipt = users.take("alice", 6).levels[0].receipt;
            scene.pass(500 * MILLI);
            assert!(users.allows("alice", 4));
            give(&users, verb, 5, receipt);
            assert_eq!(users.level("alice").used, 5, "{rule:?}");
            scene.pass(2 * SECOND);
            assert!(users.allows("alice", 10), "{rule:?}");
            // The charge does not count any more.
            give(&users, verb, 6, receipt);
            assert_eq!(users.level("alice").used, 10, "{rule:?}");
            scene.pass(2 * SECOND);
        }
    }
}

pub(crate) fn nothing_is_handed_back_to_an_unknown_subject(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let receipt = users.take("alice", 6).levels[0].receipt;
        users.ask(ask(Verb::Reset, 1, "alice", &[1]));
        for verb in [Verb::HandBack, Verb::Cancel] {
            give(&users, verb, 6, receipt);
            assert!(users.allows("alice", 10) && !users.allows("alice", 1), "{rule:?}");
            users.ask(ask(Verb::Reset, 1, "alice", &[1]));
        }
        // Receipts that nobody gave: no more than a full bucket comes of them.
        for receipt in [0, 1, u64::MAX] {
            for verb in [Verb::HandBack, Verb::Cancel] {
                users.ask(with_receipt(ask(verb, u64::MAX, "bob", &[2]), Receipt(receipt)));
                assert_eq!(users.left("bob", 1), [10], "{rule:?}");
            }
        }
        scene.pass(Duration::from_secs(60));
    }
}

/// A strict window may count charges that are close to each other together.
pub(crate) fn charges_close_to_each_other_are_handed_back(store: &dyn StoreUnderTest) {
    let rule = Rule::StrictWindow;
    if !store.rules().contains(&rule) {
        return;
    }
    let scene = Scene::new(store);
    let users = scene.users(&[(rule, Quota::per(40, 640 * MILLI))]);
    let first = users.take("alice", 8).levels[0].receipt;
    scene.pass(Duration::from_micros(2_660));
    let second = users.take("alice", 3).levels[0].receipt;
    give(&users, Verb::HandBack, 8, first);
    assert_eq!(users.level("alice").used, 3);
    scene.pass(Duration::from_micros(8_060));
    let third = users.take("alice", 3).levels[0].receipt;
    give(&users, Verb::Cancel, 1, second);
    assert_eq!(users.level("alice").used, 5);
    give(&users, Verb::HandBack, 3, third);
    assert_eq!(users.level("alice").used, 2);
}

/// Once something was given back, the level does not tell until when others wait.
pub(crate) fn who_waits_is_not_forgotten_when_another_cancels(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 5));
    let first = users.take("alice", 5).levels[0].receipt;
    let waits = users.ask(patient(ask(Verb::Take, 6, "alice", &[1]), SECOND));
    scene.assert_rounded_up(after(&waits), 600 * MILLI);
    users.ask(ask(Verb::Credit, 2, "alice", &[1]));
    let last = users.ask(patient(ask(Verb::Take, 3, "alice", &[1]), SECOND));
    scene.assert_rounded_up(after(&last), 700 * MILLI);
    give(&users, Verb::Cancel, 3, last.levels[0].receipt);
    assert_eq!(users.level("alice").used, 14);
    scene.pass(500 * MILLI);
    give(&users, Verb::HandBack, 5, first);
    assert_eq!(users.level("alice").used, 9, "six were taken behind, for 100 ms from now");
}

pub(crate) fn who_has_cancelled_holds_nobody_up(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 5));
    let first = users.take("alice", 5).levels[0].receipt;
    let later = users.ask(patient(ask(Verb::Take, 6, "alice", &[1]), SECOND));
    give(&users, Verb::Cancel, 6, later.levels[0].receipt);
    users.ask(ask(Verb::Consume, 3, "alice", &[1]));
    assert_eq!(users.level("alice").used, 13);
    give(&users, Verb::HandBack, 5, first);
    assert_eq!(users.level("alice").used, 8);
}

/// Whoever gives back nothing learns it, too.
pub(crate) fn a_receipt_from_before_a_reset_grows_no_worth(store: &dyn StoreUnderTest) {
    for (count, cost) in [(0, 1), (1, 0)] {
        let scene = Scene::new(store);
        let users = scene.bucket(TEN);
        let receipt = users.take("alice", 8).levels[0].receipt;
        users.ask(ask(Verb::Reset, 1, "alice", &[1]));
        let nothing = with_receipt(ask(Verb::HandBack, count, "alice", &[cost]), receipt);
        let receipt = users.ask(nothing).levels[0].receipt;
        assert!(users.allows("alice", 10));
        give(&users, Verb::HandBack, 8, receipt);
        assert_eq!(users.level("alice").used, 10, "{count} x {cost}");
    }
}
