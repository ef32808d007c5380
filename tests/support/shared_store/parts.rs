//! Asks over several subjects.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Ask, Charge, Outcome, Part, Rule, Verb, Verdict};

use super::StoreUnderTest;
use super::scene::{
    MILLI, Opened, Scene, after, ask, ask_all, is_done, namespace, part, patient, remaining,
    verdicts,
};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

/// Users with one limit and routes with two, if the store can span subjects.
fn users_and_routes<'a>(scene: &'a Scene<'_>) -> Option<Opened<'a>> {
    let users = namespace("users", &[(Rule::TokenBucket, TEN)]);
    let minute = (Rule::TokenBucket, Quota::per_minute(60));
    let routes = namespace("routes", &[(Rule::TokenBucket, Quota::per_second(20)), minute]);
    let opened = scene.open(&[users, routes]);
    opened.buckets.spans_subjects().then_some(opened)
}

fn route(subject: &str, costs: [u64; 2]) -> Part {
    Part::new(1, subject, costs.map(Charge::new))
}

pub(crate) fn all_parts_or_none(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(both) = users_and_routes(&scene) else { return };
    let take =
        |n, costs| both.ask(ask_all(Verb::Take, n, [part("alice", &[1]), route("/", costs)]));
    let answer = take(4, [2, 1]);
    assert_eq!((is_done(&answer), answer.count), (true, 4));
    assert_eq!(remaining(&answer), [6, 12, 56]);
    let answer = take(7, [1, 1]);
    assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![6, 12, 56]));
    assert_eq!(remaining(&take(6, [2, 9])), [0, 0, 2]);
}

pub(crate) fn a_part_that_refuses_is_told_by_its_levels(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(both) = users_and_routes(&scene) else { return };
    let take = |costs, n, patience| {
        let parts = [part("alice", &[n]), route("/", costs)];
        both.ask(patient(ask_all(Verb::Take, 1, parts), patience))
    };
    assert!(is_done(&take([20, 60], 5, Duration::ZERO)));
    let answer = take([2, 61], 5, Duration::ZERO);
    assert_eq!(verdicts(&answer), [Verdict::Granted, Verdict::Refused, Verdict::Never]);
    assert_eq!((answer.levels[0].wait, answer.levels[2].wait), (Duration::ZERO, Duration::ZERO));
    scene.assert_rounded_up(answer.levels[1].wait, 100 * MILLI);
    // The longest wait is that of all.
    let answer = take([4, 0], 6, 250 * MILLI);
    scene.assert_rounded_up(after(&answer), 200 * MILLI);
    assert_eq!(remaining(&answer), [0, 0, 0]);
}

pub(crate) fn one_subject_in_two_parts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        if !users.buckets.spans_subjects() {
            return;
        }
        let twice = |one, other| {
            users.ask(ask_all(Verb::Take, 1, [part("alice", &[one]), part("alice", &[other])]))
        };
        let answer = twice(3, 4);
        assert_eq!((is_done(&answer), remaining(&answer)), (true, vec![3, 3]), "{rule:?}");
        // Each would pass by itself, but not both.
        let answer = twice(2, 3);
        assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![3, 3]));
        assert_eq!(verdicts(&answer), [Verdict::Granted, Verdict::Refused], "{rule:?}");
        assert_eq!(remaining(&twice(1, 2)), [0, 0], "{rule:?}");
        let parts = [part("alice", &[2]), part("alice", &[3])];
        let answer = users.ask(ask_all(Verb::Credit, 1, parts));
        assert_eq!(remaining(&answer), [5, 5], "{rule:?}: the levels after all of it");
        scene.pass(Duration::from_secs(60));
    }
}

pub(crate) fn up_to_so_many_over_parts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(both) = users_and_routes(&scene) else { return };
    let up_to =
        |n, costs| both.ask(ask_all(Verb::TakeUpTo, n, [part("alice", &[1]), route("/", costs)]));
    let answer = up_to(100, [3, 1]);
    assert_eq!((answer.count, remaining(&answer)), (6, vec![4, 2, 54]));
    let answer = up_to(100, [3, 1]);
    assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0));
    assert_eq!(verdicts(&answer), [Verdict::Granted, Verdict::Refused, Verdict::Granted]);
    assert_eq!(up_to(3, [0, 1]).count, 3);
}

pub(crate) fn up_to_so_many_of_one_subject_in_two_parts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let limits = [(rule, Quota::per_second(1_000))];
        let users = scene.open(&[namespace(&format!("{rule:?}"), &limits)]);
        if !users.buckets.spans_subjects() {
            return;
        }
        for (one, other, left) in [(1, 2, 1), (3, 4, 6), (500, 500, 0), (600, 500, 1_000)] {
            let parts = [part("alice", &[one]), part("alice", &[other])];
            let answer = users.ask(ask_all(Verb::TakeUpTo, u64::MAX, parts));
            assert_eq!(answer.count, 1_000 / (one + other), "{rule:?}: {one} and {other}");
            assert_eq!(remaining(&answer), [left, left], "{rule:?}: {one} and {other}");
            users.ask(ask(Verb::Reset, 1, "alice", &[1]));
        }
    }
}

pub(crate) fn every_verb_reaches_all_parts(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(both) = users_and_routes(&scene) else { return };
    let all = |verb, n| {
        let answer = both.ask(ask_all(verb, n, [part("alice", &[1]), route("/", [1, 2])]));
        assert_eq!(after(&answer), Duration::ZERO);
        let levels: Vec<_> = answer.levels.iter().map(|level| level.used).collect();
        (levels, answer.levels)
    };
    let (levels, receipts) = all(Verb::Consume, 15);
    assert_eq!(levels, [15, 15, 30]);
    let mut hand_back = ask_all(Verb::HandBack, 2, [part("alice", &[1]), route("/", [1, 2])]);
    let charges = hand_back.parts.iter_mut().flat_map(|part| &mut part.charges);
    charges.zip(&receipts).for_each(|(charge, level)| charge.receipt = level.receipt);
    let handed_back = both.ask(hand_back);
    let used: Vec<_> = handed_back.levels.iter().map(|level| level.used).collect();
    assert_eq!(used, [13, 13, 26]);
    assert_eq!(all(Verb::Credit, 3).0, [10, 10, 20]);
    assert_eq!(all(Verb::Raise, 12).0, [12, 12, 24]);
    assert_eq!(all(Verb::Reset, 1).0, [0, 0, 0]);
}

pub(crate) fn a_look_over_parts_takes_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(both) = users_and_routes(&scene) else { return };
    let parts = || [part("alice", &[1]), route("/", [1, 2])];
    for n in [3, 11] {
        let look = both.ask(ask_all(Verb::Look, n, parts()));
        let again = both.ask(ask_all(Verb::Look, n, parts()));
        assert_eq!(look, again);
        let take = both.ask(ask_all(Verb::Take, n, parts()));
        assert_eq!((take.outcome, take.count), (look.outcome, look.count));
        assert_eq!((verdicts(&take), remaining(&take)), (verdicts(&look), remaining(&look)));
        for part in parts() {
            both.ask(Ask::new(Verb::Reset, 1, part));
        }
    }
}
