//! Take, look, and take up to so many.

use std::time::Duration;

use tollgate::Quota;
use tollgate::shared::store::{Outcome, Receipt, Rule, Verb, Verdict};

use super::StoreUnderTest;
use super::scene::{MILLI, SECOND, Scene, after, ask, is_done, namespace, remaining, verdicts};

/// A permit each 100 ms.
const TEN: Quota = Quota::per_second(10);

pub(crate) fn a_take_says_what_is_left(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let answer = users.take("alice", 4);
    assert_eq!((answer.count, after(&answer)), (4, Duration::ZERO));
    let level = answer.levels[0];
    assert_eq!((level.used, level.remaining, level.full_after), (4, 6, 400 * MILLI));
    assert_eq!((level.verdict, level.wait), (Verdict::Granted, Duration::ZERO));
    scene.pass(150 * MILLI);
    let level = users.level("alice");
    assert_eq!((level.used, level.remaining, level.full_after), (3, 7, 250 * MILLI));
    let level = users.take("alice", 7).levels[0];
    assert_eq!((level.used, level.remaining, level.full_after), (10, 0, 950 * MILLI));
    // Nothing is left: the wait is that for the next permit.
    assert_eq!(level.verdict, Verdict::Granted);
    scene.assert_rounded_up(level.wait, 50 * MILLI);
    scene.pass(10 * SECOND);
    let level = users.level("alice");
    assert_eq!((level.used, level.remaining, level.full_after), (0, 10, Duration::ZERO));
}

pub(crate) fn a_refusal_takes_nothing_and_says_when(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        assert!(users.allows("alice", 8));
        for _ in 0..3 {
            let answer = users.take("alice", 3);
            assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0), "{rule:?}");
            assert_eq!(verdicts(&answer), [Verdict::Refused]);
            assert_eq!(remaining(&answer), [2]);
            // At this time it passes, and a microsecond earlier it does not.
            let wait = answer.levels[0].wait;
            assert!(wait >= 100 * MILLI, "{rule:?}: {wait:?}");
            if rule == Rule::TokenBucket {
                scene.assert_rounded_up(wait, 100 * MILLI);
            }
        }
        let wait = users.take("alice", 3).levels[0].wait;
        let micro = Duration::from_micros(1);
        let whole = Duration::from_micros(u64::try_from(wait.as_nanos().div_ceil(1_000)).unwrap());
        scene.pass(whole - 2 * micro);
        assert!(!users.allows("alice", 3), "{rule:?}");
        scene.pass(2 * micro);
        assert!(users.allows("alice", 3), "{rule:?}");
    }
}

pub(crate) fn more_than_the_burst_is_never_there(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let answer = users.take("alice", 11);
        assert_eq!(answer.outcome, Outcome::Refused);
        assert_eq!(verdicts(&answer), [Verdict::Never], "{rule:?}");
        assert_eq!(answer.levels[0].wait, Duration::ZERO);
        assert!(users.allows("alice", 10));
    }
}

pub(crate) fn all_limits_of_a_subject_or_none(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.users(&[
        (Rule::TokenBucket, TEN),
        (Rule::TokenBucket, Quota::per_minute(60).burst(100)),
        (Rule::FixedWindow, Quota::per_hour(7)),
    ]);
    let answer = users.ask(ask(Verb::Take, 2, "alice", &[1, 20, 3]));
    assert_eq!((is_done(&answer), answer.count), (true, 2));
    assert_eq!(remaining(&answer), [8, 60, 1]);
    // The first lets it pass, the second does later, the third never does.
    let answer = users.ask(ask(Verb::Take, 1, "alice", &[8, 70, 8]));
    assert_eq!(answer.outcome, Outcome::Refused);
    assert_eq!(verdicts(&answer), [Verdict::Granted, Verdict::Refused, Verdict::Never]);
    assert_eq!(remaining(&answer), [8, 60, 1]);
    assert_eq!(answer.levels[0].wait, Duration::ZERO);
    scene.assert_rounded_up(answer.levels[1].wait, 10 * SECOND);
    assert_eq!(users.left("alice", 3), [8, 60, 1]);
}

pub(crate) fn a_look_answers_as_a_take_and_takes_nothing(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let limits = [(rule, TEN), (Rule::TokenBucket, Quota::per_minute(60))];
        let users = scene.open(&[namespace(&format!("{rule:?}"), &limits)]);
        for (used, n) in [(0, 3), (4, 6), (4, 7), (4, 11)] {
            let subject = format!("{used} and {n}");
            assert!(is_done(&users.ask(ask(Verb::Take, used, &subject, &[1, 1]))));
            scene.pass(50 * MILLI);
            let answer = |verb| {
                let mut answer = users.ask(ask(verb, n, &subject, &[1, 2]));
                // What receipts mean is the store's.
                answer.levels.iter_mut().for_each(|level| level.receipt = Receipt::default());
                answer
            };
            let look = answer(Verb::Look);
            assert_eq!(answer(Verb::Look), look, "{rule:?}");
            assert_eq!(answer(Verb::Take), look, "{rule:?}");
        }
    }
}

pub(crate) fn as_many_times_as_there_are_permits(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let limits = [(rule, TEN), (Rule::TokenBucket, Quota::per_minute(60).burst(100))];
        let users = scene.open(&[namespace(&format!("{rule:?}"), &limits)]);
        let up_to = |count, costs: &[u64]| {
            let answer = users.ask(ask(Verb::TakeUpTo, count, "alice", costs));
            assert_eq!(after(&answer), Duration::ZERO);
            (answer.count, remaining(&answer))
        };
        assert_eq!(up_to(2, &[1, 10]), (2, vec![8, 80]), "{rule:?}");
        assert_eq!(up_to(u64::MAX, &[1, 15]), (5, vec![3, 5]), "{rule:?}");
        // Only one of the limits is asked.
        assert_eq!(up_to(9, &[2, 0]), (1, vec![1, 5]), "{rule:?}");
        assert_eq!(up_to(9, &[0, 5]), (1, vec![1, 0]), "{rule:?}");
        assert_eq!(up_to(9, &[0, 0]), (9, vec![1, 0]), "{rule:?}");
        assert_eq!(up_to(u64::MAX, &[1, 0]), (1, vec![0, 0]), "{rule:?}");
    }
}

pub(crate) fn not_even_once(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    assert!(users.allows("alice", 8));
    for (cost, verdict, wait) in
        [(3, Verdict::Refused, 100 * MILLI), (11, Verdict::Never, Duration::ZERO)]
    {
        let answer = users.ask(ask(Verb::TakeUpTo, 7, "alice", &[cost]));
        assert_eq!((answer.outcome, answer.count), (Outcome::Refused, 0));
        assert_eq!((verdicts(&answer), remaining(&answer)), (vec![verdict], vec![2]));
        scene.assert_rounded_up(answer.levels[0].wait, wait);
    }
    let answer = users.ask(ask(Verb::TakeUpTo, 0, "alice", &[1]));
    assert_eq!((is_done(&answer), answer.count, remaining(&answer)), (true, 0, vec![2]));
}

pub(crate) fn a_cost_of_zero_leaves_the_limit_alone(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.users(&[(Rule::TokenBucket, TEN), (Rule::TokenBucket, TEN)]);
    users.ask(ask(Verb::Consume, 1, "alice", &[30, 0]));
    assert_eq!(users.left("alice", 2), [0, 10]);
    // The first limit is in debt, and is not asked.
    let answer = users.ask(ask(Verb::Take, 1, "alice", &[0, 1]));
    assert!(is_done(&answer));
    assert_eq!((answer.levels[0].used, answer.levels[1].used), (30, 1));
    let answer = users.ask(ask(Verb::Take, 0, "alice", &[0, 1]));
    assert!(is_done(&answer));
}

pub(crate) fn nothing_is_there_unless_in_debt(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        let nothing = || users.take("alice", 0);
        assert_eq!((is_done(&nothing()), remaining(&nothing())), (true, vec![10]));
        assert!(users.allows("alice", 10));
        assert!(is_done(&nothing()), "{rule:?}");
        users.ask(ask(Verb::Consume, 5, "alice", &[1]));
        let answer = nothing();
        assert_eq!((answer.outcome, verdicts(&answer)), (Outcome::Refused, vec![Verdict::Refused]));
        let wait = answer.levels[0].wait;
        assert!(wait >= 500 * MILLI, "{rule:?}: {wait:?}");
        scene.pass(wait + Duration::from_micros(1));
        assert!(is_done(&nothing()), "{rule:?}");
        scene.pass(10 * SECOND);
    }
}

pub(crate) fn subjects_and_namespaces_are_told_apart(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let limits = [(Rule::TokenBucket, TEN)];
    let all = scene.open(&[namespace("users", &limits), namespace("addresses", &limits)]);
    let allows = |namespace, subject: &str| {
        let mut ask = ask(Verb::Take, 10, subject, &[1]);
        ask.parts[0].namespace = namespace;
        is_done(&all.ask(ask))
    };
    assert!(allows(0, "one") && !allows(0, "one"));
    assert!(allows(0, "two") && allows(1, "one") && !allows(1, "one"));
    // What is in a name can't be taken for another one.
    assert!(allows(0, "") && allows(0, "users") && allows(0, "users:one") && allows(0, "one\0"));
}

pub(crate) fn subjects_can_be_any_text(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let long = "x".repeat(100_000);
    let longer = "x".repeat(100_001);
    for subject in ["", " ", "\n\r\0", "{}", "}{", "a:b", "*", "\u{1F980}", &long, &longer] {
        assert!(users.allows(subject, 10), "{} letters", subject.len());
        assert!(!users.allows(subject, 1), "{} letters", subject.len());
    }
}

pub(crate) fn a_batch_is_answered_in_order(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    let users = scene.bucket(TEN);
    let mut asks: Vec<_> =
        [6, 5, 4, 1].into_iter().map(|n| ask(Verb::Take, n, "alice", &[1])).collect();
    // One that does not fit stops nobody else.
    asks.insert(1, ask(Verb::Take, 1, "alice", &[1, 1]));
    let answers = users.try_ask_all(asks);
    let done: Vec<_> = answers.iter().map(|it| it.as_ref().ok().map(is_done)).collect();
    assert_eq!(done, [Some(true), None, Some(false), Some(true), Some(false)]);
    assert!(users.try_ask_all(Vec::new()).is_empty());
}

pub(crate) fn enormous_numbers_are_refused(store: &dyn StoreUnderTest) {
    let scene = Scene::new(store);
    for rule in store.rules() {
        let users = scene.open(&[namespace(&format!("{rule:?}"), &[(rule, TEN)])]);
        for (count, cost) in
            [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX), (1 << 32, 1 << 32)]
        {
            for verb in [Verb::Take, Verb::Look] {
                let answer = users.ask(ask(verb, count, "alice", &[cost]));
                assert_eq!((answer.outcome, remaining(&answer)), (Outcome::Refused, vec![10]));
                assert_eq!(verdicts(&answer), [Verdict::Never], "{rule:?}");
            }
        }
        let mut most = ask(Verb::Take, 1, "alice", &[1]);
        (most.patience, most.lifetime) = (Duration::MAX, Duration::MAX);
        assert!(is_done(&users.ask(most)));
        users.ask(ask(Verb::Credit, u64::MAX, "alice", &[u64::MAX]));
        assert_eq!(users.left("alice", 1), [10], "{rule:?}");
    }
}
