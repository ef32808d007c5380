//! What one charge does to the level of one key.

use std::time::Duration;

use tollgate_http::engine::store::{Charge, Verb};

use crate::scene::{
    ALGORITHMS, GRANTED, Make, NANOSECOND, NEVER, REFUSED, Scene, bucket, charge, limit, under,
};

/// A wait is exact: one nanosecond before, the request is refused; then it passes.
pub(crate) fn waits_are_exact(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        for cost in [1, 2, 5] {
            let scene = Scene::new(make, &[limit("a", algorithm, &["5/7s"])]);
            scene.advance(1_234);
            assert_eq!(scene.take(&charge(0, "alice", 3)).verdict, GRANTED);
            scene.advance(311);
            assert_eq!(scene.take(&charge(0, "alice", 2)).verdict, GRANTED);
            let one = charge(0, "alice", cost);
            let refused = scene.take(&one);
            assert_eq!(refused.verdict, REFUSED, "{algorithm:?}");
            assert!(refused.wait > Duration::ZERO);
            let looked = scene.look(&one);
            assert_eq!((looked.verdict, looked.wait), (REFUSED, refused.wait), "{algorithm:?}");
            scene.clock.advance(refused.wait.saturating_sub(NANOSECOND));
            let again = scene.take(&one);
            assert_eq!((again.verdict, again.wait), (REFUSED, NANOSECOND), "{algorithm:?}");
            scene.clock.advance(NANOSECOND);
            assert_eq!(scene.take(&one).verdict, GRANTED, "{algorithm:?} {cost}");
        }
    }
}

/// The last permit's answer says when the next one comes, and when all have.
pub(crate) fn nothing_left(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["4/8s"])]);
        let last = scene.take(&charge(0, "alice", 4));
        assert_eq!((last.verdict, last.remaining), (GRANTED, 0));
        assert!(last.wait > Duration::ZERO && last.wait <= last.full_after, "{last:?}");
        let one = charge(0, "alice", 1);
        assert_eq!(scene.look(&one).wait, last.wait, "{algorithm:?}");
        scene.clock.advance(last.wait.saturating_sub(NANOSECOND));
        assert_eq!(scene.look(&one).verdict, REFUSED, "{algorithm:?}");
        scene.clock.advance(NANOSECOND);
        assert_eq!(scene.look(&one).verdict, GRANTED, "{algorithm:?}");
        scene.clock.advance(last.full_after.saturating_sub(last.wait));
        let full = scene.look(&charge(0, "alice", 0));
        assert_eq!((full.remaining, full.full_after), (4, Duration::ZERO), "{algorithm:?}");
    }
}

/// To look takes nothing, and says what a request would be answered.
pub(crate) fn look_takes_nothing(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["5/h"])]);
        for _ in 0..9 {
            let answer = scene.look(&charge(0, "alice", 5));
            assert_eq!((answer.verdict, answer.remaining), (GRANTED, 5));
        }
        assert_eq!(scene.look(&charge(0, "alice", 6)).verdict, NEVER);
        scene.take(&charge(0, "alice", 4));
        let answer = scene.look(&charge(0, "alice", 2));
        assert_eq!((answer.verdict, answer.remaining), (REFUSED, 1));
        assert_eq!(scene.look(&charge(0, "alice", 6)).verdict, NEVER);
        let granted = scene.take(&charge(0, "alice", 1));
        assert_eq!((granted.verdict, granted.remaining), (GRANTED, 0));
    }
}

/// Permits that are given back are never more than the burst.
pub(crate) fn credit_is_never_above_full(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["5/h"])]);
        let credit = |permits| scene.ask(Verb::Credit, &[charge(0, "alice", permits)])[0];
        let answer = credit(3);
        assert_eq!((answer.verdict, answer.remaining), (GRANTED, 5));
        scene.take(&charge(0, "alice", 4));
        assert_eq!(credit(1).remaining, 2, "{algorithm:?}");
        assert_eq!(credit(0).remaining, 2);
        assert_eq!(credit(u64::MAX).remaining, 5, "{algorithm:?}");
        assert_eq!(scene.take(&charge(0, "alice", 5)).verdict, GRANTED);
        assert_eq!(scene.take(&charge(0, "alice", 1)).verdict, REFUSED);
    }
}

/// To consume takes what is not there, as debt, and refuses nothing.
pub(crate) fn consume_makes_debt(make: Make<'_>) {
    let scene = Scene::new(make, &[bucket("a", &["5/5s"])]);
    let consume = |permits| scene.ask(Verb::Consume, &[charge(0, "alice", permits)])[0];
    let answer = consume(2);
    assert_eq!((answer.verdict, answer.remaining), (GRANTED, 3));
    let answer = consume(10);
    assert_eq!((answer.verdict, answer.remaining), (GRANTED, 0));
    assert_eq!(answer.full_after, Duration::from_secs(12));
    assert_eq!(answer.wait, Duration::from_secs(8), "until the next permit");
    let refused = scene.take(&charge(0, "alice", 2));
    assert_eq!((refused.verdict, refused.wait), (REFUSED, Duration::from_secs(9)));
    // A part of the debt is forgiven.
    scene.ask(Verb::Credit, &[charge(0, "alice", 6)]);
    assert_eq!(scene.take(&charge(0, "alice", 1)).wait, Duration::from_secs(2));
    scene.advance(2_000);
    assert_eq!(scene.take(&charge(0, "alice", 1)).verdict, GRANTED);
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["5/h"])]);
        let answer = scene.ask(Verb::Consume, &[charge(0, "alice", 7)])[0];
        assert_eq!((answer.verdict, answer.remaining), (GRANTED, 0), "{algorithm:?}");
        assert_eq!(scene.take(&charge(0, "alice", 1)).verdict, REFUSED, "{algorithm:?}");
        scene.advance(24 * 3_600_000);
        assert_eq!(scene.left(&charge(0, "alice", 0)), 5, "{algorithm:?}");
    }
}

/// The smallest and the largest costs.
pub(crate) fn extreme_costs(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["5/h"]), bucket("b", &["9/h"])]);
        for cost in [6, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let answer = scene.take(&charge(0, "alice", cost));
            assert_eq!((answer.verdict, answer.remaining), (NEVER, 5), "{algorithm:?} {cost}");
            assert_eq!(scene.look(&charge(0, "alice", cost)).verdict, NEVER);
            let both = [charge(1, "alice", 1), charge(0, "alice", cost)];
            let answers = scene.ask(Verb::Take, &both);
            assert_eq!((answers[0].verdict, answers[1].verdict), (GRANTED, NEVER));
            assert_eq!(scene.left(&charge(1, "alice", 0)), 9);
        }
        scene.take(&charge(0, "alice", 5));
        let zero = scene.take(&charge(0, "alice", 0));
        assert_eq!((zero.verdict, zero.remaining), (GRANTED, 0), "{algorithm:?}");
        let answer = scene.ask(Verb::Consume, &[charge(0, "alice", u64::MAX)])[0];
        assert_eq!((answer.verdict, answer.remaining), (GRANTED, 0), "{algorithm:?}");
        let zero: Vec<Charge> = vec![charge(0, "alice", 0), charge(1, "alice", 0)];
        let answers = scene.ask(Verb::Take, &zero);
        assert_eq!((answers[0].remaining, answers[1].remaining), (0, 9), "{algorithm:?}");
    }
}

/// Under an unlimited quota, nothing is asked, and nothing changes.
pub(crate) fn unlimited_quotas(make: Make<'_>) {
    let mut spec = bucket("a", &["5/h"]);
    spec.quotas.push(tollgate::Quota::unlimited());
    let scene = Scene::new(make, &[spec, bucket("b", &["2/h"])]);
    scene.take(&charge(0, "alice", 4));
    let free = under(1, charge(0, "alice", u64::MAX));
    for verb in [Verb::Take, Verb::Look, Verb::Credit, Verb::Consume] {
        let answer = scene.ask(verb, std::slice::from_ref(&free))[0];
        assert_eq!((answer.verdict, answer.remaining), (GRANTED, u64::MAX));
        assert_eq!((answer.full_after, answer.wait), (Duration::ZERO, Duration::ZERO));
    }
    // Together with a limited one, on either side.
    let answers = scene.ask(Verb::Take, &[free.clone(), charge(1, "alice", 1), free.clone()]);
    assert_eq!(answers.iter().map(|a| a.remaining).collect::<Vec<_>>(), [u64::MAX, 1, u64::MAX]);
    let answers = scene.ask(Verb::Take, &[free.clone(), charge(1, "alice", 2)]);
    assert_eq!((answers[0].verdict, answers[1].verdict), (GRANTED, REFUSED));
    assert_eq!(scene.left(&charge(0, "alice", 0)), 1);
    // A limit without any limited quota.
    let mut spec = bucket("c", &["1/h"]);
    spec.quotas = vec![tollgate::Quota::unlimited()];
    let scene = Scene::new(make, &[spec]);
    assert_eq!(scene.take(&charge(0, "alice", 7)).remaining, u64::MAX);
}

/// A clock that steps back gives nobody permits, and one at its end breaks nothing.
pub(crate) fn strange_clocks(make: Make<'_>) {
    for algorithm in ALGORITHMS {
        let scene = Scene::new(make, &[limit("a", algorithm, &["5/h"])]);
        scene.advance(10_000_000);
        scene.take(&charge(0, "alice", 5));
        scene.clock.set(tollgate::Timestamp::ZERO);
        assert_eq!(scene.take(&charge(0, "alice", 1)).verdict, REFUSED, "{algorithm:?}");
        scene.clock.set(tollgate::Timestamp::from_nanos(u64::MAX));
        for cost in [1, 4, 1, u64::MAX] {
            let answer = scene.take(&charge(0, "bob", cost));
            assert!(answer.remaining <= 5, "{algorithm:?}");
        }
        scene.ask(Verb::Consume, &[charge(0, "bob", 1_000_000)]);
        assert_eq!(scene.left(&charge(0, "bob", 0)), 0, "{algorithm:?}");
    }
}
