//! Parts that only tell what they would refuse.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Ask, Outcome, Part, Rule, Verb, Verdict};

use super::StoreUnderTest;
use super::scene::{Opened, Scene, after, ask_all, is_done, part, remaining, verdicts};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

/// Users with two limits each, if the store can span subjects.
fn users<'a>(scene: &'a Scene<'_>) -> Option<Opened<'a>> {
    let opened = scene.users(&[(Rule::TokenBucket, TEN), (Rule::FixedWindow, TEN)]);
    opened.buckets.spans_subjects().then_some(opened)
}

fn shadow(subject: &str, costs: &[u64]) -> Part {
    let mut part = part(subject, costs);
    part.shadow = true;
    part
}

pub(crate) fn a_shadow_does_not_refuse(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(users) = users(&scene) else { return };
    let parts = [shadow("bob", &[11, 1]), part("alice", &[1, 1])];
    let answer = users.ask(ask_all(Verb::Take, 1, parts));
    assert_eq!((after(&answer), answer.count), (Duration::ZERO, 1));
    assert_eq!(
        verdicts(&answer),
        [Verdict::Never, Verdict::Granted, Verdict::Granted, Verdict::Granted]
    );
    // All of its own limits pass, or it takes nothing.
    assert_eq!(remaining(&answer), [10, 10, 9, 9]);
}

pub(crate) fn a_shadow_takes_for_itself(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(users) = users(&scene) else { return };
    let both =
        |verb, n| users.ask(ask_all(verb, n, [shadow("bob", &[2, 2]), part("alice", &[1, 1])]));
    assert_eq!(remaining(&both(Verb::Take, 4)), [2, 2, 6, 6]);
    let answer = both(Verb::Take, 2);
    assert_eq!((is_done(&answer), remaining(&answer)), (true, vec![2, 2, 4, 4]));
    assert_eq!(verdicts(&answer)[0], Verdict::Refused);
    assert!(answer.levels[0].wait > Duration::ZERO);
    // It does not bound how many times the others can be charged.
    let answer = both(Verb::TakeUpTo, 100);
    assert_eq!((answer.count, remaining(&answer)), (4, vec![2, 2, 0, 0]));
}

pub(crate) fn a_shadow_takes_nothing_if_others_refuse(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let Some(users) = users(&scene) else { return };
    let answer =
        users.ask(ask_all(Verb::Take, 1, [shadow("bob", &[2, 2]), part("alice", &[11, 1])]));
    assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![10; 4]));
    assert_eq!(verdicts(&answer)[..2], [Verdict::Granted; 2]);
    assert_eq!(users.left("bob", 2), [10, 10]);
}

pub(crate) fn a_shadow_alone(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let take = |n| users.ask(Ask::new(Verb::Take, n, shadow("bob", &[1])));
    assert_eq!(remaining(&take(7)), [3]);
    let answer = take(7);
    assert_eq!((is_done(&answer), answer.count), (true, 7));
    assert_eq!((verdicts(&answer), remaining(&answer)), (vec![Verdict::Refused], vec![3]));
}
