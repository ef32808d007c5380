//! When windows begin, and when what they count comes back.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Rule, Verb};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, ask, is_done, remaining};

/// Ten permits a second.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn a_fixed_window_begins_with_its_first_charge(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    if !scene.has(Rule::FixedWindow) {
        return;
    }
    let users = scene.users(&[(Rule::FixedWindow, TEN)]);
    // A look begins nothing.
    users.level("alice");
    scene.pass(700 * MILLI);
    assert!(users.allows("alice", 3));
    scene.pass(900 * MILLI);
    let level = users.take("alice", 7).levels[0];
    assert_eq!((level.remaining, level.full_after), (0, 100 * MILLI));
    assert_eq!(level.wait, 100 * MILLI);
    scene.pass(99 * MILLI);
    assert!(!users.allows("alice", 1));
    scene.pass(MILLI);
    assert_eq!(users.level("alice").remaining, 10);
    // The next window begins with the next charge, and not where the last one ended.
    scene.pass(500 * MILLI);
    assert!(users.allows("alice", 10));
    scene.pass(999 * MILLI);
    assert!(!users.allows("alice", 1));
    scene.pass(MILLI);
    assert!(users.allows("alice", 10));
}

pub(crate) fn a_fixed_window_repays_its_debt_window_by_window(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    if !scene.has(Rule::FixedWindow) {
        return;
    }
    let users = scene.users(&[(Rule::FixedWindow, TEN)]);
    let answer = users.ask(ask(Verb::Consume, 25, "alice", &[1]));
    assert_eq!((answer.levels[0].used, answer.levels[0].full_after), (25, 3 * SECOND));
    let answer = users.take("alice", 4);
    assert_eq!(answer.levels[0].wait, 2 * SECOND, "the second window has five of its own left");
    scene.pass(SECOND);
    assert_eq!(users.level("alice").used, 15);
    scene.pass(1_500 * MILLI);
    let level = users.take("alice", 4).levels[0];
    assert_eq!((level.used, level.full_after), (9, 500 * MILLI));
    scene.pass(500 * MILLI);
    assert_eq!(users.level("alice").used, 0);
}

pub(crate) fn a_sliding_window_fades(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    if !scene.has(Rule::SlidingWindow) {
        return;
    }
    let users = scene.users(&[(Rule::SlidingWindow, TEN)]);
    let level = users.take("alice", 10).levels[0];
    assert_eq!((level.used, level.full_after), (10, 2 * SECOND));
    // A tenth of the next window must have passed.
    scene.assert_rounded_up(level.wait, 1_100 * MILLI);
    scene.pass(1_250 * MILLI);
    // Three quarters of ten, rounded up.
    assert_eq!(users.level("alice").used, 8);
    assert!(!users.allows("alice", 3) && users.allows("alice", 2));
    scene.pass(750 * MILLI);
    // What was counted in the second window is now that of the last one.
    let level = users.level("alice");
    assert_eq!((level.used, level.full_after), (2, SECOND));
    scene.pass(SECOND);
    assert_eq!(users.level("alice").used, 0);
    // A new window begins with the next charge.
    scene.pass(300 * MILLI);
    assert_eq!(users.take("alice", 1).levels[0].full_after, 2 * SECOND);
}

pub(crate) fn a_strict_window_keeps_its_limit(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    if !scene.has(Rule::StrictWindow) {
        return;
    }
    let users = scene.users(&[(Rule::StrictWindow, TEN)]);
    assert!(users.allows("alice", 6));
    scene.pass(500 * MILLI);
    let level = users.take("alice", 4).levels[0];
    assert_eq!(level.remaining, 0);
    // Permits come back a period after they were taken, or up to 1/64 of the period later.
    let grain = SECOND / 64 + Duration::from_micros(1);
    assert!(level.wait >= 500 * MILLI && level.wait <= 500 * MILLI + grain, "{:?}", level.wait);
    let full = level.full_after;
    assert!(full >= SECOND && full <= SECOND + grain, "{full:?}");
    scene.pass(499 * MILLI);
    assert!(!users.allows("alice", 1));
    scene.pass(grain + MILLI);
    assert_eq!(users.level("alice").remaining, 6);
    assert!(users.allows("alice", 6) && !users.allows("alice", 1));
}

pub(crate) fn each_limit_restarts_by_itself(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in [Rule::FixedWindow, Rule::SlidingWindow].into_iter().filter(|it| scene.has(*it)) {
        let day = (Rule::TokenBucket, Quota::per_day(100));
        let users =
            scene.open(&[super::scene::namespace(&format!("{rule:?}"), &[(rule, TEN), day])]);
        let take = |n| users.ask(ask(Verb::Take, n, "alice", &[1, 1]));
        assert!(is_done(&take(10)));
        // The window is full, but the subject is not, because the day's limit is in use.
        scene.pass(2_700 * MILLI);
        assert!(is_done(&take(10)), "{rule:?}");
        scene.pass(800 * MILLI);
        let answer = take(1);
        assert!(!is_done(&answer), "{rule:?}: the window began with the charge");
        assert_eq!(remaining(&answer)[0], 0, "{rule:?}");
        scene.pass(200 * MILLI);
        let left = users.left("alice", 2)[0];
        assert_eq!(left, if rule == Rule::FixedWindow { 10 } else { 0 }, "{rule:?}");
    }
}
