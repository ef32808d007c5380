//! Taking permits for later.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Rule, Verb, Verdict};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, after, ask, is_done, namespace, patient, verdicts};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn permits_are_taken_for_later(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 8));
    let answer = users.ask(patient(ask(Verb::Take, 5, "alice", &[1]), 300 * MILLI));
    assert_eq!(answer.count, 5);
    scene.assert_rounded_up(after(&answer), 300 * MILLI);
    let level = answer.levels[0];
    assert_eq!((level.verdict, level.used, level.remaining), (Verdict::Granted, 13, 0));
    assert_eq!(level.full_after, 1_300 * MILLI);
    scene.assert_rounded_up(level.wait, 300 * MILLI);
    // Who asks for what is there does not wait, however patient.
    scene.pass(2 * SECOND);
    let answer = users.ask(patient(ask(Verb::Take, 5, "alice", &[1]), SECOND));
    assert_eq!(after(&answer), Duration::ZERO);
}

pub(crate) fn who_comes_later_waits_behind(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 10));
    for number in 1..=20 {
        let answer = users.ask(patient(ask(Verb::Take, 1, "alice", &[1]), 10 * SECOND));
        scene.assert_rounded_up(after(&answer), number * 100 * MILLI);
    }
    scene.pass(1_950 * MILLI);
    assert!(!users.allows("alice", 1), "all permits are promised");
    scene.pass(150 * MILLI);
    assert!(users.allows("alice", 1));
}

pub(crate) fn too_long_a_wait_takes_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 10));
    let micro = Duration::from_micros(1);
    let take = |patience| users.ask(patient(ask(Verb::Take, 3, "alice", &[1]), patience));
    let answer = take(300 * MILLI - micro);
    assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0));
    assert_eq!((verdicts(&answer), answer.levels[0].used), (vec![Verdict::Refused], 10));
    scene.assert_rounded_up(answer.levels[0].wait, 300 * MILLI);
    let answer = users.ask(patient(ask(Verb::Take, 11, "alice", &[1]), Duration::MAX));
    assert_eq!(verdicts(&answer), [Verdict::Never]);
    assert!(is_done(&take(300 * MILLI)));
}

pub(crate) fn all_limits_wait_together(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users =
        scene.users(&[(Rule::TokenBucket, TEN), (Rule::TokenBucket, Quota::per_minute(60))]);
    assert!(is_done(&users.ask(ask(Verb::Take, 1, "alice", &[10, 59]))));
    let take = |patience| users.ask(patient(ask(Verb::Take, 1, "alice", &[2, 3]), patience));
    let answer = take(SECOND);
    assert_eq!(verdicts(&answer), [Verdict::Granted, Verdict::Refused]);
    assert_eq!((answer.levels[0].used, answer.levels[1].used), (10, 59));
    let answer = take(2 * SECOND);
    scene.assert_rounded_up(after(&answer), 2 * SECOND);
    assert_eq!((answer.levels[0].used, answer.levels[1].used), (12, 62));
    scene.assert_rounded_up(answer.levels[0].wait, 200 * MILLI);
}

pub(crate) fn windows_are_not_taken_from_for_later(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules().into_iter().filter(|rule| *rule != Rule::TokenBucket) {
        let users = scene
            .open(&[namespace(&format!("{rule:?}"), &[(rule, TEN), (Rule::TokenBucket, TEN)])]);
        let take = |costs: &[u64]| {
            users.ask(patient(ask(Verb::Take, 1, "alice", costs), Duration::from_secs(60)))
        };
        assert!(is_done(&take(&[8, 10])));
        let answer = take(&[3, 1]);
        assert_eq!(answer.outcome, Outcome::Refused, "{rule:?}");
        assert_eq!(verdicts(&answer), [Verdict::Refused, Verdict::Granted]);
        // A bucket beside it is, if the window has permits now.
        let answer = take(&[2, 1]);
        scene.assert_rounded_up(after(&answer), 100 * MILLI);
    }
}
